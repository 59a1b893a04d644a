"""Positions of steps, and distances between them.

Axis letters: `b` batch, `t` time, `h` head width, `n` heads, `m` queries, `k` keys.
"""

import math
from bisect import bisect_right
from itertools import accumulate

from keras import backend, ops

BETA_FAST = 32.0
BETA_SLOW = 1.0
"""YaRN keeps the frequencies that turn at least `BETA_FAST` times over the original length, and divides
those that turn at most `BETA_SLOW` times by the whole factor."""


def rotate(x, positions, base, layout, scaling, fraction=1.0):
    """Rotate the feature pairs of `x: (b, t, ..., h)` by angles proportional to `positions`.

    Args:
        x: the features.
        positions: `(t,)` or `(b, t)`, numbers of any dtype.
        base: pair `i` of the `r` rotated features has the frequency `base ** (-2 i / r)`, before scaling.
        layout: `"half"` pairs feature `i` with `i + r/2`. `"interleaved"` pairs `2 i` with `2 i + 1`.
        scaling: what `rotary_frequencies` takes.
        fraction: the first `r = int(h * fraction)` features are rotated. `r` must be even.

    Returns:
        A tensor like `x`. Angles, sines and cosines are computed in float32 or better.
    """
    width = int(x.shape[-1] * fraction)
    frequencies, magnitude = rotary_frequencies(width, base, scaling)
    precise = backend.result_type(x.dtype, "float32")
    frequencies = ops.convert_to_tensor(frequencies, dtype=precise)
    angle = ops.expand_dims(ops.cast(positions, precise), -1) * frequencies  # ([b], t, r/2)
    return turn(x, angle, layout, magnitude)


def turn(x, angle, layout, magnitude=1.0):
    """Rotate the first `r` features of `x: (b, t, ..., h)` by `angle: ([b], t, r/2)`, in radians.

    The rotated features are multiplied by `magnitude`. The features after them are kept as they are.
    """
    half = int(angle.shape[-1])
    kept = int(x.shape[-1]) - 2 * half
    for _ in range(len(x.shape) - 3):
        angle = ops.expand_dims(angle, -2)
    cos, sin = ops.cos(angle), ops.sin(angle)
    if magnitude != 1:
        cos, sin = magnitude * cos, magnitude * sin
    cos, sin = ops.cast(cos, x.dtype), ops.cast(sin, x.dtype)

    rest = []
    if kept:
        x, *rest = ops.split(x, [2 * half], axis=-1)
    pairs, axis = ((2, half), -2) if layout == "half" else ((half, 2), -1)
    a, b = ops.unstack(ops.reshape(x, (*ops.shape(x)[:-1], *pairs)), 2, axis=axis)
    turned = ops.stack([a * cos - b * sin, b * cos + a * sin], axis=axis)
    turned = ops.reshape(turned, ops.shape(x))
    return ops.concatenate([turned, *rest], axis=-1) if kept else turned


def rotary_frequencies(width, base, scaling):
    r"""The frequencies of the pairs of `width` features, and what to multiply the rotated features by.

    Args:
        width: number of features, even.
        base: pair `i` has the frequency $f_i = \mathrm{base}^{-2 i / \mathrm{width}}$ before scaling.
        scaling: a number that all frequencies are divided by, or a dict, as `rotary_scaling` returns it:
            of type `"llama3"`, which divides the low frequencies only, or `"yarn"`, which does that
            and also makes the rotated features larger.
    """
    half = width // 2
    if not isinstance(scaling, dict):
        return [base ** (-i / half) / scaling for i in range(half)], 1.0
    frequencies = [base ** (-i / half) for i in range(half)]
    if scaling["rope_type"] == "yarn":
        kept, magnitude = _kept_by_yarn(half, base, **scaling), _magnitude_of_yarn(**scaling)
    else:
        kept, magnitude = [_kept_by_llama3(f, **scaling) for f in frequencies], 1.0
    shares = zip(frequencies, kept, strict=True)
    return [f * (keep + (1 - keep) / scaling["factor"]) for f, keep in shares], magnitude


def rotate_by_axes(x, places, frequencies):
    """Rotate the feature pairs of `x: (b, t, ..., h)`, each by its place along one axis of a grid.

    Args:
        x: the features. Feature `i` is paired with `i + h/2`.
        places: for each axis, the coordinates of the steps: `(t,)` or `(b, t)`, numbers of any dtype.
        frequencies: for each axis, the frequencies of its pairs. The pairs of the first axis come first.

    Returns:
        A tensor like `x`. Angles, sines and cosines are computed in float32 or better.
    """
    precise = backend.result_type(x.dtype, "float32")
    angles = [
        ops.expand_dims(ops.cast(place, precise), -1) * ops.convert_to_tensor(own, dtype=precise)
        for place, own in zip(places, frequencies, strict=True)
    ]
    return turn(x, ops.concatenate(angles, axis=-1), "half")


def axial_frequencies(pairs, base, together):
    """For each axis, the frequencies of its pairs.

    Args:
        pairs: for each axis, how many pairs it has.
        base: the frequency of pair `i` of `n` is `base ** (-i / n)`.
        together: whether the axes share one sequence of frequencies, cut into sections, instead of having
            one each.
    """
    if not together:
        return [rotary_frequencies(2 * count, base, 1.0)[0] for count in pairs]
    frequencies, _ = rotary_frequencies(2 * sum(pairs), base, 1.0)
    ends = [*accumulate(pairs)]
    return [frequencies[end - count : end] for end, count in zip(ends, pairs, strict=True)]


def places_in_grid(steps, sizes):
    """The coordinates of integer `steps` along each axis of a grid, whose last axis they go through first.

    The first of `sizes` does not matter.
    """
    places = []
    for size in reversed(sizes[1:]):
        places.append(ops.mod(steps, size))
        steps = ops.floor_divide(steps, size)
    return [steps, *reversed(places)]


def _kept_by_llama3(
    frequency, low_freq_factor, high_freq_factor, original_max_position_embeddings, **_
):
    """The share of a frequency that is not divided: 1 for those that turn often over the old length."""
    turns = original_max_position_embeddings * frequency / (2 * math.pi)
    return _between(turns, low_freq_factor, high_freq_factor)


def _kept_by_yarn(
    half,
    base,
    original_max_position_embeddings,
    beta_fast=BETA_FAST,
    beta_slow=BETA_SLOW,
    truncate=True,
    **_,
):
    """The share of each frequency that is not divided, which falls with the index of the pair."""

    def pair(turns):
        """The index, with a fraction, of the pair that turns that often over the old length."""
        old = original_max_position_embeddings / (2 * math.pi * turns)
        return half * math.log(old) / math.log(base)

    first, last = pair(beta_fast), pair(beta_slow)
    if truncate:
        first, last = math.floor(first), math.ceil(last)
    first, last = max(first, 0), min(last, 2 * half - 1)
    last = last if last != first else last + 0.001
    return [1 - _between(i, first, last) for i in range(half)]


def _magnitude_of_yarn(factor, attention_factor=None, mscale=None, mscale_all_dim=None, **_):
    """`attention_factor`, or the paper's, `0.1 ln(factor) + 1`, with DeepSeek's two weights if given."""
    if attention_factor is not None:
        return attention_factor
    growth = 0.1 * math.log(max(factor, 1.0))
    if mscale and mscale_all_dim:
        return (mscale * growth + 1) / (mscale_all_dim * growth + 1)
    return growth + 1


def _between(value, low, high):
    """How far a value is on the way from `low` to `high`: from 0 to 1."""
    return min(max((value - low) / (high - low), 0.0), 1.0)


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
    """Look up the rows of `table: (rows, n)` at `index: (..., m, k)`, giving `(..., n, m, k)`."""
    rows = ops.take(table, index, axis=0)
    end = len(rows.shape) - 1  # ONNX takes no negative axis
    return ops.moveaxis(rows, end, end - 2)
