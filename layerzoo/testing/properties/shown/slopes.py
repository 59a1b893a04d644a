"""The gradients of a probe, compared with differences of its loss."""

import numpy as np

from layerzoo.testing.shown import claimed

from .probe import Probe, one


def slope(probe, index, along, h=2**-7):
    values = []
    for step in (2 * h, h, -h, -2 * h):
        moved = [x + step * along if i == index else x for i, x in enumerate(probe.start)]
        probe.set_weights(moved)
        values.append(probe.evaluate(one, probe.u, verbose=0))
    return (8 * (values[1] - values[2]) - (values[0] - values[3])) / (12 * h)  # off by h**4 only


def demand_slopes(probe: Probe, gradients):
    for weight, gradient in gradients:
        if claimed["differentiable"] == "none" and weight.name == "probed_input":
            continue
        index = [w is weight for w in probe.weights].index(True)
        along = np.random.default_rng(2).normal(size=gradient.shape)
        exact, numeric = np.sum(gradient * along), slope(probe, index, along)
        close = abs(exact - numeric) <= 5e-3 * max(1, abs(numeric))
        assert close, f"{weight.path}: {exact} by autodiff, {numeric} by difference"
