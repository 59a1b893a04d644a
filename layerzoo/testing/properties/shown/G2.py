"""Each trainable weight and float input gets a finite, nonzero gradient, or zero if declared dead."""

from fnmatch import fnmatch

import numpy as np

from layerzoo.testing.shown import built, claimed, inputs

from .probe import Probe

for weight, gradient in Probe(built(), inputs).gradients():
    assert np.isfinite(gradient).all(), f"{weight.path}: {gradient}"
    name, size = weight.path.split("/", 1)[-1], np.abs(gradient).max()
    stopped = claimed["differentiable"] == "none" and weight.name == "probed_input"
    if not stopped and not any(fnmatch(name, pattern) for pattern in claimed["dead"]):
        assert size > 1e-6, f"the largest gradient of {weight.path} is {size}"
