"""The compiled gradient equals the eager one."""

import numpy as np

from layerzoo.testing.shown import built, inputs

from .probe import Probe

probe = Probe(built(), inputs)
eager = probe.gradients(jit_compile=False)
compiled = probe.gradients(run_eagerly=False, jit_compile=True)
for (weight, expected), (_, gradient) in zip(eager, compiled):
    close = np.abs(gradient - expected).max() <= 1e-4 * max(1, np.abs(expected).max())
    assert close, f"{weight.path}: {gradient.ravel()[:4]} compiled, {expected.ravel()[:4]} eager"
