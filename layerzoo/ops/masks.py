"""Masks: which steps may be attended to.

Axis letters: `b` batch, `t` query time, `s` key time, `d` features.
"""

from keras import backend, ops

LOWEST = -3e38
"""Added to scores that are not allowed. It is finite, so that a row of it does not give `inf - inf`."""


def zero_padding(x, mask):
    """Set the padded steps of `x: (b, t, d)` to zero, even if they hold NaN. `mask` is `(b, t)` or None."""
    if mask is None:
        return x
    return ops.where(ops.cast(mask, "bool")[..., None], x, 0.0)


def visible(queries, keys, causal=False, window=None):
    """`(t, s)`: whether the query at step `queries[t]` may attend to the key at step `keys[s]`.

    None if every query may attend to every key.
    """
    if not causal and window is None:
        return None
    distance = queries[:, None] - keys[None, :]
    seen = distance >= 0 if causal else ops.ones_like(distance, dtype="bool")
    if window is not None:
        seen = ops.logical_and(seen, ops.abs(distance) < window)
    return seen


def weigh(scores, bias=None, allowed=None):
    """Softmax over the last axis of `scores + bias`, only where `allowed`, in float32 or better.

    `bias` and `allowed` are None or broadcast to `scores`. A row in which nothing is allowed gives finite
    but meaningless numbers.
    """
    dtype = backend.result_type(scores.dtype, "float32")
    scores = ops.cast(scores, dtype)
    if bias is not None:
        scores = scores + ops.cast(bias, dtype)
    if allowed is not None:
        scores = scores + ops.where(allowed, ops.cast(0.0, dtype), ops.cast(LOWEST, dtype))
    if scores.shape[-1] == 1:  # Keras warns about a softmax over an axis of size 1
        return ops.exp(scores - scores)
    return ops.softmax(scores)
