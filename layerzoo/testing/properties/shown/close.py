"""Outputs that must be close."""

import numpy as np

from layerzoo.testing.shown import numbers


def demand_close(found, expected, what):
    for y, e in zip(numbers(found), numbers(expected)):
        assert y.shape == e.shape, f"{what}: {y.shape} and {e.shape}"
        close = np.abs(y - e).max() <= 1e-4 * max(1, np.abs(e).max())
        assert close, f"{what}: {y.ravel()[:4]} and {e.ravel()[:4]}"
