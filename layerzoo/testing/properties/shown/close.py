"""What outputs must be near."""

import numpy as np

from layerzoo.testing.shown import numbers


def assert_close(found, due, what, share=1e-4):
    for y, e in zip(numbers(found), numbers(due)):
        assert y.shape == e.shape, f"{what}: {y.shape} and {e.shape}"
        y, e = y.astype("float32"), e.astype("float32")
        close = np.abs(y - e).max(initial=0) <= share * max(1, np.abs(e).max(initial=0))
        assert close, f"{what}: {y.ravel()[:4]} and {e.ravel()[:4]}"
