"""The decays of a memory, as a rate times a step size, and the short convolution in front of it."""

import numpy as np
from keras import initializers, ops

from layerzoo.ops.convolution import sum_of_shifts
from layerzoo.ops.dtypes import at_least_float32
from layerzoo.ops.masks import zero_padding
from layerzoo.ops.padding import padded
from layerzoo.ops.steps import after

SLOWEST = 1e-3
FASTEST = 1e-1
"""Between which the step sizes lie at the start."""


def build_decays(owner, heads, features=1) -> None:
    """Give an owner the weights of its decays, in float32: `log_rate`, `(n,)`, and `step_bias`, `(n * m,)`.

    Rates start at 1 to 16 and step sizes at 0.001 to 0.1. With one feature, the heads have all of them, and
    the first remembers longest. With several, each head has all step sizes.

    Args:
        owner: the layer.
        heads: number of heads `n`.
        features: number of decays of a head, `m`.
    """
    rates = np.linspace(1, 16, heads)
    sizes = np.tile(_spread(features), heads) if features > 1 else _spread(heads)
    before_softplus = sizes + np.log(-np.expm1(-sizes))
    owner.log_rate = _weight(owner, np.log(rates), "log_rate")
    owner.step_bias = _weight(owner, before_softplus, "step_bias")


def _spread(count):
    """Step sizes, evenly in their logarithms; a single one is in the middle."""
    places = (np.arange(count) + 0.5) / count
    return SLOWEST * (FASTEST / SLOWEST) ** places


def _weight(owner, values, name):
    def start(shape, dtype=None):
        return ops.convert_to_tensor(values, dtype)

    return owner.add_weight(values.shape, start, name=name, autocast=False)


def step_sizes(owner, x):
    """The step size at each step, `(b, t, n * m)`, in float32 or better, of what was projected for it."""
    x = at_least_float32(x)
    return ops.softplus(x + ops.cast(owner.step_bias, x.dtype))


def log_decays(owner, sizes):
    """The logarithms of the decays: rates times step sizes `(b, t, n, ...)`, both of them positive."""
    rate = ops.exp(ops.cast(owner.log_rate, sizes.dtype))
    return -ops.reshape(rate, (-1, *[1] * (len(sizes.shape) - 3))) * sizes


def build_short_convolution(owner, channels) -> None:
    """Give an owner `taps`, the weights of its causal depthwise convolution over `kernel_size` steps.

    They start as those of PyTorch's `Conv1d` do.
    """
    start = initializers.VarianceScaling(1 / 3, "fan_in", "uniform")
    shape = (owner.kernel_size, channels)
    owner.taps = owner.add_weight(shape, start, name="taps", autocast=False)


def short_convolution(owner, x, past, mask):
    """Each step of `x: (b, t, d)` and the ones before it, weighted channel by channel.

    Args:
        owner: the layer, after `build_short_convolution`.
        x: the steps, whose padding counts as zeros.
        past: the steps before, `(b, kernel_size - 1, d)`, or None for zeros.
        mask: the mask of the steps. With `past`, the padding is behind the valid ones.

    Returns:
        `(b, t, d)`, in float32 or better, and the `past` of what follows, or None if there was none.
    """
    x, missing = zero_padding(x, mask), owner.kernel_size - 1
    if past is not None:
        (x, past), missing = after(past, x, mask), 0
    x = at_least_float32(padded(x, 1, before=missing))
    # XLA's depthwise convolution takes ten times as long on a CPU
    return sum_of_shifts(x, ops.cast(owner.taps, x.dtype)), past
