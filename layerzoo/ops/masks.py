"""Which positions may be seen. `b` batch, `t` query time, `s` key time, `d` features."""

from keras import backend, ops


def zero_padding(x, mask):
    """Set the padded steps of `x: (b, t, d)` to zero, whatever they hold; `mask: (b, t)` or None."""
    if mask is None:
        return x
    return ops.where(ops.cast(mask, "bool")[..., None], x, 0.0)


def visible(length, causal=False, window=None):
    """`(t, s)`: may step `t` see step `s` of the same sequence? None where it may see every step."""
    if not causal and window is None:
        return None
    step = ops.arange(0, length)
    distance = step[:, None] - step[None, :]
    seen = distance >= 0 if causal else ops.ones_like(distance, dtype="bool")
    if window is not None:
        seen = ops.logical_and(seen, ops.abs(distance) < window)
    return seen


def masked_softmax(scores, allowed):
    """Softmax over the last axis, at least in float32; a row with nothing allowed gives zeros.

    `allowed` is None or broadcasts to `scores`. The sum of an empty row would be 0 / 0, and Keras's
    own answer is the mean of the padding: here both value and gradient of such a row are zero.
    """
    dtype = backend.result_type(scores.dtype, "float32")
    scores = ops.cast(scores, dtype)
    if (
        scores.shape[-1] == 1
    ):  # Keras's softmax warns of such an axis, which a sequence may well have
        weights = ops.exp(scores - scores)
    elif allowed is None:
        weights = ops.softmax(scores)
    else:
        lowest = -3.4e38  # finite, so that a row full of it has no inf - inf
        weights = ops.softmax(ops.where(allowed, scores, lowest))
    return weights if allowed is None else ops.where(allowed, weights, 0.0)
