"""Positions of steps, and distances between them.

Axis letters: `b` batch, `t` time, `h` head width, `n` heads, `m` queries, `k` keys.
"""

from bisect import bisect_right

from keras import backend, ops


def rotate(x, positions, base, layout, scaling):
    """Rotate the feature pairs of `x: (b, t, ..., h)` by angles proportional to `positions`.

    Args:
        x: the features. `h` must be even.
        positions: `(t,)` or `(b, t)`, numbers of any dtype.
        base: pair `i` is rotated by `positions / scaling / base ** (2 i / h)` radians.
        layout: `"half"` pairs feature `i` with `i + h/2`. `"interleaved"` pairs `2 i` with `2 i + 1`.
        scaling: the number that positions are divided by.

    Returns:
        A tensor like `x`. Angles, sines and cosines are computed in float32 or better.
    """
    half = x.shape[-1] // 2
    precise = backend.result_type(x.dtype, "float32")
    frequency = [base ** (-i / half) / scaling for i in range(half)]
    frequency = ops.convert_to_tensor(frequency, dtype=precise)
    angle = ops.expand_dims(ops.cast(positions, precise), -1) * frequency  # ([b], t, h/2)
    for _ in range(len(x.shape) - 3):
        angle = ops.expand_dims(angle, -2)
    cos, sin = ops.cast(ops.cos(angle), x.dtype), ops.cast(ops.sin(angle), x.dtype)

    pairs, axis = ((2, half), -2) if layout == "half" else ((half, 2), -1)
    a, b = ops.unstack(ops.reshape(x, (*ops.shape(x)[:-1], *pairs)), 2, axis=axis)
    turned = ops.stack([a * cos - b * sin, b * cos + a * sin], axis=axis)
    return ops.reshape(turned, ops.shape(x))


def alibi_slopes(num_heads):
    """One slope per head: `2 ** (-8 i / num_heads)`, `i = 1, 2, ...`, if `num_heads` is a power of two.

    If `num_heads` is not a power of two, use the slopes for the next lower power, then every other slope of
    the sequence twice as long until there are enough.
    """
    power = 2 ** (num_heads.bit_length() - 1)
    halves = [2 * i + 2 for i in range(power)] + [2 * i + 1 for i in range(num_heads - power)]
    return [2 ** (-4 * half / power) for half in halves]


def distance_buckets(count, max_distance):
    r"""The bucket of each distance from 0 to `max_distance`, computed in integers only.

    Half of the `count` buckets, rounded down to $e$, hold one distance each. Of the other $l$ buckets,
    bucket $e + i$ starts at the first distance $d$ with $(d / e)^l \ge (\mathrm{max\_distance} / e)^i$.
    """
    exact = count // 2
    left = count - exact
    edges = [max_distance**i * exact ** (left - i) for i in range(1, left)]
    far = range(exact, max_distance + 1)
    return [*range(exact), *(exact + bisect_right(edges, d**left) for d in far)]


def per_head(table, index):
    """Look up the rows of `table: (rows, n)` at `index: (m, k)`, giving `(n, m, k)`."""
    return ops.transpose(ops.take(table, index, axis=0), (2, 0, 1))
