import numpy as np
import pytest
from arrays import INSIDE, LEFT, close, random

from layerzoo import MinGRU


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def reference(x, weights, initial_state=None, mask=None):
    """Equations of section 3.1 of the paper, one step after the other, in float64."""
    kernel, bias = weights["update_candidate/kernel"], weights.get("update_candidate/bias", 0)
    update, candidate = np.split(x.astype("float64") @ kernel + bias, 2, axis=-1)
    mask = np.ones(x.shape[:2]) if mask is None else np.array(mask)
    h = np.zeros(update[:, 0].shape) if initial_state is None else initial_state
    steps = []
    for t in range(x.shape[1]):
        z = sigmoid(update[:, t]) * mask[:, t, None]
        h = (1 - z) * h + z * candidate[:, t]
        steps.append(h)
    return np.stack(steps, axis=1)


@pytest.mark.parametrize("use_bias", [True, False])
@pytest.mark.parametrize("time", [1, 16, 40])
def test_equals_the_equation(randomise, time, use_bias):
    layer = MinGRU(5, use_bias=use_bias, return_sequences=True)
    layer.build((None, None, 3))
    weights, x = randomise(layer), random(2, time, 3)
    due = reference(x, weights)
    close(layer(x), due)
    before = random(2, 5, seed=1)
    outputs, state = layer(x, initial_state=before, return_state=True)
    due = reference(x, weights, before)
    close(outputs, due)
    close(state, due[:, -1])


def test_padding_keeps_the_state(randomise):
    layer = MinGRU(5)
    layer.build((None, None, 3))
    weights, x, mask = randomise(layer), random(2, 5, 3), np.array([LEFT, INSIDE], bool)
    x[~mask] = np.nan
    due = reference(np.nan_to_num(x), weights, mask=mask)[:, -1]
    close(layer(x, mask=mask), due)


def test_a_gate_that_is_nearly_closed_adds_up_over_a_long_sequence(randomise):
    layer = MinGRU(1, use_bias=True, return_sequences=True)
    layer.build((None, None, 1))
    layer.project.kernel.assign([[0.0, 0.0]])
    layer.project.bias.assign([np.log(1e-6), 1.0])  # a gate of 1e-6, a candidate of 1
    due = -np.expm1(20_000 * np.log1p(-1e-6 / (1 + 1e-6)))
    close(layer(np.zeros((1, 20_000, 1), "float32"))[:, -1], [[due]], 1e-4)
