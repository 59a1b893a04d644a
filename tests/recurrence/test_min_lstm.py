import numpy as np
import pytest
from arrays import INSIDE, LEFT, close, random

from layerzoo import MinLSTM


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def reference(x, weights, initial_state=None, mask=None):
    """Equations of section 3.2 of the paper, one step after the other, in float64."""
    name = "forget_input_candidate"
    kernel, bias = weights[f"{name}/kernel"], weights.get(f"{name}/bias", 0)
    forget, admit, candidate = np.split(x.astype("float64") @ kernel + bias, 3, axis=-1)
    mask = np.ones(x.shape[:2]) if mask is None else np.array(mask)
    h = np.zeros(forget[:, 0].shape) if initial_state is None else initial_state
    steps = []
    for t in range(x.shape[1]):
        f, i = sigmoid(forget[:, t]), sigmoid(admit[:, t])
        new = f / (f + i) * h + i / (f + i) * candidate[:, t]
        h = np.where(mask[:, t, None], new, h)
        steps.append(h)
    return np.stack(steps, axis=1)


@pytest.mark.parametrize("use_bias", [True, False])
@pytest.mark.parametrize("time", [1, 16, 40])
def test_equals_the_equation(randomise, time, use_bias):
    layer = MinLSTM(5, use_bias=use_bias, return_sequences=True)
    layer.build((None, None, 3))
    weights, x = randomise(layer), random(2, time, 3)
    close(layer(x), reference(x, weights))
    before = random(2, 5, seed=1)
    outputs, state = layer(x, initial_state=before, return_state=True)
    due = reference(x, weights, before)
    close(outputs, due)
    close(state, due[:, -1])


def test_padding_keeps_the_state(randomise):
    layer = MinLSTM(5)
    layer.build((None, None, 3))
    weights, x, mask = randomise(layer), random(2, 5, 3), np.array([LEFT, INSIDE], bool)
    x[~mask] = np.nan
    due = reference(np.nan_to_num(x), weights, mask=mask)[:, -1]
    close(layer(x, mask=mask), due)


@pytest.mark.parametrize("size", [-60.0, 60.0])
def test_both_gates_may_be_open_or_closed_at_once(size):
    layer = MinLSTM(1, return_sequences=True)
    layer.build((None, None, 1))
    layer.project.kernel.assign([[0.0, 0.0, 1.0]])
    layer.project.bias.assign([size, size, 0.0])  # shares of a half each
    close(layer(np.ones((1, 3, 1), "float32"))[0, :, 0], [0.5, 0.75, 0.875])
