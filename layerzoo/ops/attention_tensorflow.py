"""Attention on TensorFlow, with a hand-written gradient.

TensorFlow differentiates operation by operation, and each operation is another pass over the scores. The
gradient here neither transposes nor keeps the scores.
"""

from keras import ops

from layerzoo.ops.attention_blocks import attend
from layerzoo.ops.attention_gradient import SumOverSpans, gradient_of_block


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
                        tf.matmul,
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
