import numpy as np
import pytest
from arrays import INSIDE, LEFT, close, random

from layerzoo import ShortConvolution
from layerzoo.ops.convolution import depthwise, sum_of_shifts


def convolved(x, weights):
    """Each output as a sum over the steps that it sees, in float64, and SiLU."""
    kernel, bias = weights["kernel"][:, 0], weights.get("bias", 0)
    k = len(kernel)
    y = np.zeros(x.shape)
    for t in range(x.shape[1]):
        for i in range(min(k, t + 1)):
            y[:, t] += kernel[k - 1 - i] * x[:, t - i]
    return (y + bias) / (1 + np.exp(-(y + bias)))


def reference(x, weights, gated):
    x = x.astype("float64")
    if not gated:
        return convolved(x, weights)
    together = x @ weights["gates_value/kernel"] + weights.get("gates_value/bias", 0)
    into, out, value = np.split(together, 3, axis=-1)
    y = out * convolved(into * value, weights)
    return y @ weights["output/kernel"] + weights.get("output/bias", 0)


@pytest.mark.parametrize("use_bias", [True, False])
@pytest.mark.parametrize("gated", [True, False])
@pytest.mark.parametrize(("time", "size"), [(1, 4), (7, 4), (6, 1)])
def test_equals_the_equation(randomise, time, size, gated, use_bias):
    layer = ShortConvolution(size, gated=gated, use_bias=use_bias)
    layer.build((None, None, 6))
    weights, x = randomise(layer), random(2, time, 6)
    close(layer(x), reference(x, weights, gated))


@pytest.mark.parametrize("mask", [LEFT, INSIDE])
def test_padding_counts_as_zeros(randomise, mask):
    layer = ShortConvolution(3)
    layer.build((None, None, 6))
    weights, x, mask = randomise(layer), random(2, 5, 6), np.array([mask] * 2, bool)
    x[~mask] = np.nan
    due = np.where(mask[..., None], convolved(np.nan_to_num(x), weights), 0)
    close(layer(x, mask=mask), due)


def test_both_ways_to_convolve_agree():
    x, kernel = random(2, 9, 5), random(4, 5)
    close(depthwise(x, kernel), sum_of_shifts(x, kernel))
