import numpy as np
import pytest
from arrays import INSIDE, LEFT, close, random

from layerzoo import RGLRU


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def reference(x, weights, h=0.0, mask=None):
    """Equations 1 to 4 of the paper, one step after the other, in float64."""
    together = x.astype("float64") @ weights["value_gates/kernel"]
    value, forget, admit = np.split(together + weights.get("value_gates/bias", 0), 3, axis=-1)
    softplus = np.log1p(np.exp(weights["speed"]))
    a = np.exp(-8 * softplus * sigmoid(forget))
    mask = np.ones(x.shape[:2]) if mask is None else np.array(mask)
    steps = []
    for t in range(x.shape[1]):
        new = a[:, t] * h + np.sqrt(1 - a[:, t] ** 2) * sigmoid(admit[:, t]) * value[:, t]
        h = np.where(mask[:, t, None], new, h)
        steps.append(h)
    return np.stack(steps, axis=1)


@pytest.mark.parametrize("use_bias", [True, False])
@pytest.mark.parametrize("time", [1, 16, 40])
def test_equals_the_equation(randomise, time, use_bias):
    layer = RGLRU(5, use_bias=use_bias)
    layer.build((None, None, 3))
    weights, x = randomise(layer), random(2, time, 3)
    close(layer(x), reference(x, weights))
    before = random(2, 5, seed=1)
    outputs, state = layer(x, initial_state=dict(h=before), return_state=True)
    due = reference(x, weights, before)
    close(outputs, due)
    close(state["h"], due[:, -1])


def test_padding_keeps_the_state(randomise):
    layer = RGLRU(5)
    layer.build((None, None, 3))
    weights, x, mask = randomise(layer), random(2, 5, 3), np.array([LEFT, INSIDE], bool)
    x[~mask] = np.nan
    due = reference(np.nan_to_num(x), weights, mask=mask)
    outputs, state = layer(x, mask=mask, return_state=True)
    close(outputs, np.where(mask[..., None], due, 0))
    close(state["h"], due[:, -1])


def test_decays_start_between_a_tenth_and_a_thousandth_a_step():
    layer = RGLRU(500)
    layer.build((None, None, 3))
    decay = np.exp(-8 * np.log1p(np.exp(np.asarray(layer.speed, "float64"))))
    assert 0.899 < decay.min() < 0.902
    assert 0.998 < decay.max() < 0.9995


def test_the_gradient_is_finite_where_a_decay_is_one(gradients):
    layer = RGLRU(2)
    layer.build((None, None, 1))
    kernel = np.zeros((1, 6))
    kernel[0, 2:4] = [-1e3, -60]  # closed recurrence gates
    layer.project.kernel.assign(kernel)
    for found in gradients(layer, np.ones((1, 20, 1), "float32")):
        assert np.isfinite(found).all()
