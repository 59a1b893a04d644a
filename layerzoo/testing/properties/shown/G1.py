"""The gradient from autodiff equals the numerical derivative, for each input and weight."""

import numpy as np

from layerzoo.testing.shown import claimed

from .probe import gradients, one, probe, start, u

found = gradients()


def slope(index, along, h=2**-7):
    values = []
    for step in (2 * h, h, -h, -2 * h):
        probe.set_weights([x + step * along if i == index else x for i, x in enumerate(start)])
        values.append(probe.evaluate(one, u, verbose=0))
    return (8 * (values[1] - values[2]) - (values[0] - values[3])) / (12 * h)  # off by h**4 only


for weight, gradient in found:
    if claimed["differentiable"] == "none" and weight.path.endswith("/input"):
        continue
    index = [w is weight for w in probe.weights].index(True)
    along = np.random.default_rng(2).normal(size=gradient.shape)
    exact, numeric = np.sum(gradient * along), slope(index, along)
    close = abs(exact - numeric) <= 5e-3 * max(1, abs(numeric))
    assert close, f"{weight.path}: {exact} by autodiff, {numeric} by difference"
