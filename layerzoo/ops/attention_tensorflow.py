"""Attention on TensorFlow, with its gradient written out.

TensorFlow differentiates operation by operation and passes over the scores for each. Written out, the
gradient takes five matrix products, transposes none of the scores, and keeps none.
"""

from keras import ops

from layerzoo.ops.attention_blocks import attend
from layerzoo.ops.masks import weigh


def attend_on_tensorflow(q, k, v, weights, spans, look):
    """`attend_in_blocks` of `layerzoo.ops.attention_blocks`.

    Long blocks are computed one after the other: TensorFlow would hold the scores of all at once.
    """
    import tensorflow as tf

    in_turn = any(not isinstance(k1, int) or k1 - k0 > 1024 for _, _, k0, k1 in spans)

    @tf.custom_gradient
    def attended(q, k, v, *weights):
        made: list = []
        for i, span in enumerate(spans):
            q0, q1, k0, k1 = span
            before = made[-1:] if in_turn else []
            with tf.control_dependencies(before):
                sight = look(i, span, weights, *(holding(tf, last) for last in before))
                block = attend(q[..., q0:q1, :], k[..., k0:k1], v[..., k0:k1, :], sight)
                made.append(block[0])
        y = tf.concat(made, axis=3)

        def gradient(u):
            uy = tf.reduce_sum(u * y, axis=-1, keepdims=True)
            turned_k, turned_v = ops.swapaxes(k, 2, 3), ops.swapaxes(v, 2, 3)
            dq: list = []
            dw = [tf.zeros_like(w) for w in weights]
            dk, dv = SumOverSpans(), SumOverSpans()
            for i, span in enumerate(spans):
                q0, q1, k0, k1 = span
                before = [dq[-1], dk.open, dv.open] if in_turn and dq else []
                with tf.control_dependencies(before):
                    with tf.GradientTape(watch_accessed_variables=False) as tape:
                        tape.watch(weights)
                        sight = look(i, span, weights, *(holding(tf, last) for last in before[:1]))
                    by_q, by_k, by_v, by_bias = gradient_of_block(
                        q[..., q0:q1, :],
                        (k[..., k0:k1], turned_k[..., k0:k1, :]),
                        turned_v[..., k0:k1],
                        (u[..., q0:q1, :], uy[..., q0:q1, :]),
                        sight,
                    )
                    dq.append(by_q)
                    dk.add(by_k, k0, k1)
                    dv.add(by_v, k0, k1)
                    if weights:
                        # forward mode differentiates the above by itself, and lets no tape record it
                        found = tape.gradient(sight.bias, weights, by_bias, "zero")
                        dw = [w + d for w, d in zip(dw, found, strict=True)]
            whole_dk, whole_dv = (x.whole(ops.shape(v)[2]) for x in (dk, dv))
            return tf.concat(dq, axis=3), whole_dk, ops.swapaxes(whole_dv, 2, 3), *dw

        return y, gradient

    return attended(q, k, v, *(tf.convert_to_tensor(w) for w in weights))


def holding(tf, last):
    """A function that makes masks and positions wait for the last result, compared with itself in vain.

    TensorFlow computes what depends on no input when it likes, whatever control dependencies say.
    """
    never = tf.reduce_any(last[:1, :1, :1, :1, :1] < last[:1, :1, :1, :1, :1])
    return lambda x: tf.logical_or(x, never) if x.dtype == tf.bool else x + tf.cast(never, x.dtype)


def gradient_of_block(q, k, v, u, sight):
    """With respect to the queries, keys `(b, g, h, k)`, values transposed, and bias of a block.

    Where `p` are the scores, `y` the output and `u` its gradient, that of the scores before the softmax
    is `p (u v' - u y')`.

    Args:
        q: `(b, g, r, m, h)`.
        k: the keys `(b, g, h, k)`, and transposed.
        v: the values transposed, `(b, g, v, k)`.
        u: `(b, g, r, m, v)`, and its inner product with the output, `(b, g, r, m, 1)`.
        sight: what the scores meet.
    """
    (k, turned_k), (u, uy) = k, u
    b, g, r, m, h = ops.shape(q)
    scores_shape = (b, g, r, m, ops.shape(k)[3])
    if sight.some is not None:
        u = ops.where(sight.some, u, 0.0)
        uy = ops.where(sight.some, uy, 0.0)
    q = ops.reshape(q, (b, g, r * m, h))
    u = ops.reshape(u, (b, g, r * m, u.shape[-1]))

    p = weigh(ops.reshape(ops.matmul(q, k), scores_shape), sight.bias, sight.allowed)
    dp = ops.cast(ops.reshape(ops.matmul(u, v), scores_shape), p.dtype)
    used = p
    if sight.kept is not None:
        factor = ops.cast(sight.kept, p.dtype)
        used, dp = p * factor, dp * factor
    ds = p * (dp - ops.cast(uy, p.dtype))
    by_bias = None if sight.bias is None else ops.cast(ops.sum(ds, axis=0), sight.bias.dtype)

    flat = (b, g, r * m, scores_shape[-1])
    ds, used = (ops.cast(ops.reshape(x, flat), q.dtype) for x in (ds, used))
    by_q = ops.reshape(ops.matmul(ds, turned_k), (b, g, r, m, h))
    by_k, by_v = (ops.matmul(ops.swapaxes(x, 2, 3), y) for x, y in ((q, ds), (u, used)))
    return by_q, by_k, by_v, by_bias


class SumOverSpans:
    """A sum of tensors `(b, g, d, k)` that lie at spans of a longer axis.

    No span begins or ends before the one that was added last. Only what a later one may reach is open.
    """

    def __init__(self):
        self.done = []
        self.open, self.start, self.end = None, 0, 0

    def add(self, part, start, end):
        """Add a part at `start:end`."""
        if self.open is None:
            self.open = part
        else:
            self.done.append(self.open[..., : start - self.start])
            rest = self.open[..., start - self.start :]
            self.open = ops.pad(rest, [[0, 0], [0, 0], [0, 0], [0, end - self.end]]) + part
        self.start, self.end = start, end

    def whole(self, length):
        """The sum over an axis of this length."""
        last = ops.pad(self.open, [[0, 0], [0, 0], [0, 0], [0, length - self.end]])
        return ops.concatenate([*self.done, last], axis=-1)
