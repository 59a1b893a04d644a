"""The gradient is that of the card's surrogate, or zero if the card says that inputs get none."""

import numpy as np

from layerzoo.testing.shown import claimed

from .probe import gradients, one, probe, run, start, u

if claimed["differentiable"] == "none":
    for weight, gradient in gradients():
        reached = np.abs(gradient).max() if weight.path.endswith("/input") else 0
        assert not reached, f"a gradient of {reached} reaches an input"
else:
    found = gradients()
    run = claimed["surrogate"]

    def slope(index, along, h=2**-7):
        values = []
        for step in (2 * h, h, -h, -2 * h):
            probe.set_weights([x + step * along if i == index else x for i, x in enumerate(start)])
            values.append(probe.evaluate(one, u, verbose=0))
        return (8 * (values[1] - values[2]) - (values[0] - values[3])) / (
            12 * h
        )  # off by h**4 only

    for weight, gradient in found:
        if claimed["differentiable"] == "none" and weight.path.endswith("/input"):
            continue
        index = [w is weight for w in probe.weights].index(True)
        along = np.random.default_rng(2).normal(size=gradient.shape)
        exact, numeric = np.sum(gradient * along), slope(index, along)
        close = abs(exact - numeric) <= 5e-3 * max(1, abs(numeric))
        assert close, f"{weight.path}: {exact} by autodiff, {numeric} by difference"
