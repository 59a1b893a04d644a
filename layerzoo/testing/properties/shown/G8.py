"""The gradient is that of the card's surrogate, or zero if the card says that inputs get none."""

import numpy as np

from layerzoo.testing.shown import built, claimed, inputs

from .slopes import Probe, demand_slopes

probe = Probe(built(), inputs)
gradients = probe.gradients()
if claimed["differentiable"] == "none":
    for weight, gradient in gradients:
        reached = np.abs(gradient).max() if weight.name == "probed_input" else 0
        assert not reached, f"a gradient of {reached} reaches an input"
else:
    probe.run = lambda given: claimed["surrogate"](probe.layer, given)
    demand_slopes(probe, gradients)
