"""Which positions may be seen. `b` batch, `t` query time, `s` key time, `d` features."""

from keras import backend, ops

LOWEST = -3e38
"""Added to the score of what may not be seen. Finite, so that a row full of it has no `inf - inf`."""


def zero_padding(x, mask):
    """Set the padded steps of `x: (b, t, d)` to zero, whatever they hold; `mask: (b, t)` or None."""
    if mask is None:
        return x
    return ops.where(ops.cast(mask, "bool")[..., None], x, 0.0)


def visible(queries, keys, causal=False, window=None):
    """`(t, s)`: may the query at step `queries[t]` see the key at step `keys[s]`? None for always."""
    if not causal and window is None:
        return None
    distance = queries[:, None] - keys[None, :]
    seen = distance >= 0 if causal else ops.ones_like(distance, dtype="bool")
    if window is not None:
        seen = ops.logical_and(seen, ops.abs(distance) < window)
    return seen


def weigh(scores, bias=None, allowed=None):
    """Softmax over the last axis, at least in float32, of scores with a bias, where they are allowed.

    `bias` and `allowed` are None or broadcast to `scores`. A row with nothing allowed gives numbers
    without meaning, but finite ones.
    """
    dtype = backend.result_type(scores.dtype, "float32")
    scores = ops.cast(scores, dtype)
    if bias is not None:
        scores = scores + ops.cast(bias, dtype)
    if allowed is not None:
        scores = scores + ops.where(allowed, ops.cast(0.0, dtype), ops.cast(LOWEST, dtype))
    if scores.shape[-1] == 1:  # Keras warns of such an axis, which a sequence may well have
        return ops.exp(scores - scores)
    return ops.softmax(scores)
