"""The compiled gradient equals the eager one."""

import numpy as np

from .probe import gradients

eager = {w.path: g for w, g in gradients(jit_compile=False)}
for weight, gradient in gradients(run_eagerly=False, jit_compile=True):
    expected = eager[weight.path]
    close = np.abs(gradient - expected).max() <= 1e-4 * max(1, np.abs(expected).max())
    assert close, f"{weight.path}: {gradient.ravel()[:4]} compiled, {expected.ravel()[:4]} eager"
