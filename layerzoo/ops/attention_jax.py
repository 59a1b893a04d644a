"""Attention on JAX, with a hand-written gradient.

XLA runs blocks in any order, and can hold the scores of all of them at once. On a CPU, the system has to
clear each new page of memory, which takes as long as the arithmetic. Here, each block waits for the one
before, and takes over its memory.
"""

from functools import partial, reduce

from keras import ops

from layerzoo.ops.attention_blocks import attend, attend_in_blocks
from layerzoo.ops.attention_gradient import SumOverSpans, gradient_of_block


def attend_on_jax(q, k, v, weights, given, spans, look):
    """The same as `attend_in_blocks` of `layerzoo.ops.attention_blocks`.

    Several blocks have no derivative in forward mode. Their gradient has one, as in a Hessian.

    Args:
        q: `(b, g, r, t, h)`.
        k: `(b, g, s, h)`.
        v: `(b, g, s, v)`.
        weights: the tensors that the bias depends on.
        given: what else may be traced. It gets no gradient.
        spans: the blocks.
        look: a function of `given` that returns the function that `sight_of` returns.
    """
    if len(spans) == 1:
        return attend_in_blocks(q, k, v, weights, spans, look(given))
    import jax

    def in_turn(q, k, v, weights, given):
        made: list = []
        for i, span in enumerate(spans):
            wait = waiting(made[-1:])
            sight = look(given)(i, span, weights, wait)
            own_q, own_k, own_v = parts(span, wait, (q,), (k, v))
            made.append(attend(own_q, own_k, own_v, sight)[0])
        return ops.concatenate(made, axis=3)

    def forward(*inputs):
        y = in_turn(*inputs)
        return y, (*inputs, y)

    def backward(kept, u):
        q, k, v, weights, given, y = kept
        uy = ops.sum(u * y, axis=-1, keepdims=True)
        dq: list = []
        dw = [ops.zeros_like(w) for w in weights]
        dk, dv = SumOverSpans(), SumOverSpans()
        found: list = []
        for i, span in enumerate(spans):
            wait = waiting(found)
            own_q, own_u, own_uy, own_k, own_v = parts(span, wait, (q, u, uy), (k, v))
            sight = look(given)(i, span, weights, wait)
            *found, by_bias = gradient_of_block(own_q, own_k, own_v, (own_u, own_uy), sight, matmul)
            dq.append(found[0])
            dk.add(found[1], *span[2:])
            dv.add(found[2], *span[2:])
            if weights:
                bias = partial(bias_of, look(given), i, span, wait)
                by_weights = jax.vjp(bias, *weights)[1](by_bias)
                dw = [w + d for w, d in zip(dw, by_weights, strict=True)]
        dk, dv = (x.whole(ops.shape(v)[2]) for x in (dk, dv))
        return ops.concatenate(dq, axis=3), dk, dv, dw, None

    attended = jax.custom_vjp(in_turn)
    attended.defvjp(forward, backward)
    return attended(q, k, v, list(weights), given)


def bias_of(look, i, span, wait, *weights):
    """The bias of a block."""
    return look(i, span, weights, wait).bias


def parts(span, wait, by_query, by_key):
    """The parts of tensors that a block reads, after a wait."""
    q0, q1, k0, k1 = span
    queries = (wait(x[..., q0:q1, :]) for x in by_query)
    return (*queries, *(wait(x[..., k0:k1, :]) for x in by_key))


def waiting(before):
    """A function that makes a tensor wait for others.

    It adds a false dependency on data: no number is both above and below zero. XLA ignores any other kind.
    """
    if not before:
        return lambda x: x
    ones = (x[(0,) * len(x.shape)] for x in before)
    never = reduce(ops.logical_or, (ops.logical_and(x > 0, x < 0) for x in ones))
    return lambda x: ops.where(never, ops.zeros_like(x), x)


def matmul(a, b, transpose_a=False, transpose_b=False):
    """The product of matrices, any of them transposed, as `tf.matmul` takes them.

    On a CPU, XLA is three times as fast at `(b' a)'` as at `a' b` if `a` holds the scores. The barrier keeps
    it from exchanging one for the other.
    """
    from jax.lax import dot_general, optimization_barrier

    axes = len(a.shape) - 2
    batch = tuple(range(axes))
    if transpose_a:
        product = dot_general(b, a, (((axes,), (axes,)), (batch, batch)))
        return ops.swapaxes(optimization_barrier(product), -1, -2)
    rows = axes + 1 if transpose_b else axes
    return dot_general(a, b, (((axes + 1,), (rows,)), (batch, batch)))
