"""Attention on TensorFlow, with a hand-written gradient.

TensorFlow differentiates operation by operation, and each operation is another pass over the scores. The
gradient here needs five matrix products. It neither transposes nor keeps the scores.
"""

from keras import ops

from layerzoo.ops.attention_blocks import attend
from layerzoo.ops.masks import weigh


def attend_on_tensorflow(q, k, v, weights, spans, look):
    """The same as `attend_in_blocks` of `layerzoo.ops.attention_blocks`.

    Long blocks wait for an earlier block. Otherwise, TensorFlow would hold the scores of all at once. Blocks
    that reach beyond the queries get zeros there, and what becomes of them is cut off.
    """
    import tensorflow as tf

    length, end = ops.shape(q)[3], spans[-1][1]
    if not isinstance(length, int):
        # every exporter can handle a constant amount of padding
        padding = [[0, 0], [0, 0], [0, 0], [0, len(spans) - 1], [0, 0]]
        q = ops.pad(q, padding)[:, :, :, :end]
    at_once = blocks_at_once(spans)

    @tf.custom_gradient
    def attended(q, k, v, *weights):
        made: list = []
        for i, span in enumerate(spans):
            q0, q1, k0, k1 = span
            before = [made[i - at_once]] if i >= at_once else []
            with tf.control_dependencies(before):
                sight = look(i, span, weights, *(holding(tf, last) for last in before))
                block = attend(q[..., q0:q1, :], k[..., k0:k1, :], v[..., k0:k1, :], sight)
                made.append(block[0])
        y = tf.concat(made, axis=3)

        def gradient(u):
            uy = tf.reduce_sum(u * y, axis=-1, keepdims=True)
            dq: list = []
            running: list = []  # results of the latest blocks, for later blocks to wait for
            dw = [tf.zeros_like(w) for w in weights]
            dk, dv = SumOverSpans(), SumOverSpans()
            for i, span in enumerate(spans):
                q0, q1, k0, k1 = span
                before = running.pop(0) if len(running) == at_once else []
                with tf.control_dependencies(before):
                    with tf.GradientTape(watch_accessed_variables=False) as tape:
                        tape.watch(weights)
                        sight = look(i, span, weights, *(holding(tf, last) for last in before[:1]))
                    by_q, by_k, by_v, by_bias = gradient_of_block(
                        q[..., q0:q1, :],
                        k[..., k0:k1, :],
                        v[..., k0:k1, :],
                        (u[..., q0:q1, :], uy[..., q0:q1, :]),
                        sight,
                    )
                    dq.append(by_q)
                    dk.add(by_k, k0, k1)
                    dv.add(by_v, k0, k1)
                    running.append([by_q, dk.open, dv.open])
                    if weights:
                        # forward mode differentiates the code above itself, and lets no tape record it
                        found = tape.gradient(sight.bias, weights, by_bias, "zero")
                        dw = [w + d for w, d in zip(dw, found, strict=True)]
            whole_dk, whole_dv = (x.whole(ops.shape(v)[2]) for x in (dk, dv))
            return tf.concat(dq, axis=3), whole_dk, whole_dv, *dw

        return y, gradient

    y = attended(q, k, v, *(tf.convert_to_tensor(w) for w in weights))
    return y if isinstance(length, int) else y[:, :, :, :length]


def blocks_at_once(spans):
    """How many blocks may run at once, given the size of their scores: all, two, or one."""
    widths = [k1 - k0 for _, _, k0, k1 in spans]
    if not all(isinstance(width, int) for width in widths) or max(widths) > 16384:
        return 1
    return 2 if max(widths) > 1024 else len(spans)


def holding(tf, last):
    """A function that makes masks and positions wait for the tensor `last`.

    It adds a false data dependency: `last < last`, which is always false. Without it, TensorFlow may compute
    tensors that depend on no input too early, even under control dependencies.
    """
    never = tf.reduce_any(last[:1, :1, :1, :1, :1] < last[:1, :1, :1, :1, :1])
    return lambda x: tf.logical_or(x, never) if x.dtype == tf.bool else x + tf.cast(never, x.dtype)


def gradient_of_block(q, k, v, u, sight):
    """The gradient with respect to the queries, keys, values and bias of a block.

    With the scores `p`, the output `y` and its gradient `u`, the gradient of the scores before the softmax
    is `p (u v' - u y')`.

    Args:
        q: `(b, g, r, m, h)`.
        k: `(b, g, k, h)`.
        v: `(b, g, k, v)`.
        u: a pair: the gradient of the output, `(b, g, r, m, v)`, and its inner product with the output,
            `(b, g, r, m, 1)`.
        sight: what is applied to the scores.
    """
    from tensorflow import matmul

    u, uy = u
    b, g, r, m, h = ops.shape(q)
    scores_shape = (b, g, r, m, ops.shape(k)[2])
    if sight.some is not None:
        u = ops.where(sight.some, u, 0.0)
        uy = ops.where(sight.some, uy, 0.0)
    q = ops.reshape(q, (b, g, r * m, h))
    u, uy = ops.reshape(u, (b, g, r * m, u.shape[-1])), ops.reshape(uy, (b, g, r * m, 1))

    p = weigh(ops.reshape(matmul(q, k, transpose_b=True), scores_shape), sight.bias, sight.allowed)
    if sight.kept is None:  # the matrix product also subtracts, which saves a pass over the scores
        u_uy = ops.concatenate([u, -uy], axis=-1)
        v_1 = ops.concatenate([v, ops.ones_like(v[..., :1])], axis=-1)
        dp_uy = ops.reshape(matmul(u_uy, v_1, transpose_b=True), scores_shape)
        used, ds = p, p * ops.cast(dp_uy, p.dtype)
    else:
        dp = ops.cast(ops.reshape(matmul(u, v, transpose_b=True), scores_shape), p.dtype)
        used = p * ops.cast(sight.kept, p.dtype)
        ds = used * dp - p * ops.cast(ops.reshape(uy, (b, g, r, m, 1)), p.dtype)
    by_bias = None if sight.bias is None else ops.cast(ops.sum(ds, axis=0), sight.bias.dtype)

    flat = (b, g, r * m, scores_shape[-1])
    ds, used = (ops.cast(ops.reshape(x, flat), q.dtype) for x in (ds, used))
    by_q = ops.reshape(matmul(ds, k), (b, g, r, m, h))
    by_k, by_v = (matmul(x, y, transpose_a=True) for x, y in ((ds, q), (used, u)))
    return by_q, by_k, by_v, by_bias


class SumOverSpans:
    """A sum of tensors `(b, g, k, d)`, each at a span of a longer axis.

    Spans must be added in order: none may begin or end before the previous one. Only the part that later
    spans can still reach stays open for additions.
    """

    def __init__(self):
        self.done = []
        self.open, self.start, self.end = None, 0, 0

    def add(self, part, start, end):
        """Add a tensor at the span `start:end`."""
        if self.open is None:
            self.open = part
        else:
            self.done.append(self.open[..., : start - self.start, :])
            rest = self.open[..., start - self.start :, :]
            self.open = ops.pad(rest, [[0, 0], [0, 0], [0, end - self.end], [0, 0]]) + part
        self.start, self.end = start, end

    def whole(self, length):
        """The sum, on an axis of the given length."""
        last = ops.pad(self.open, [[0, 0], [0, 0], [0, length - self.end], [0, 0]])
        return ops.concatenate([*self.done, last], axis=-2)
