"""Where a step stands. `b` batch, `t` time, `h` head width."""

from keras import backend, ops


def rotate(x, positions, base, layout, scaling):
    """Turn the feature pairs of `x: (b, t, ..., h)` by angles proportional to `positions`.

    Args:
        x: the features; `h` is even.
        positions: `(t,)` or `(b, t)`, numbers of any dtype.
        base: pair `i` turns by `positions / scaling / base ** (2 i / h)` radians.
        layout: `"half"` pairs feature `i` with `i + h/2`, `"interleaved"` pairs `2 i` with `2 i + 1`.
        scaling: what positions are divided by.

    Returns:
        A tensor like `x`. Angles, sines and cosines are taken at least in float32.
    """
    half = x.shape[-1] // 2
    precise = backend.result_type(x.dtype, "float32")
    frequency = [base ** (-i / half) / scaling for i in range(half)]
    frequency = ops.convert_to_tensor(frequency, dtype=precise)
    angle = ops.cast(positions, precise)[..., None] * frequency  # ([b], t, h/2)
    for _ in range(len(x.shape) - 3):
        angle = ops.expand_dims(angle, -2)
    cos, sin = ops.cast(ops.cos(angle), x.dtype), ops.cast(ops.sin(angle), x.dtype)

    pairs, axis = ((2, half), -2) if layout == "half" else ((half, 2), -1)
    a, b = ops.unstack(ops.reshape(x, (*ops.shape(x)[:-1], *pairs)), 2, axis=axis)
    turned = ops.stack([a * cos - b * sin, b * cos + a * sin], axis=axis)
    return ops.reshape(turned, ops.shape(x))
