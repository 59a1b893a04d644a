"""Inputs of size 10,000 give finite outputs in float32, unless float32 cannot hold the result."""

import keras
import numpy as np

from layerzoo.testing.shown import built, inputs, numbers

large = lambda v: v * np.float32(1e4) if v.dtype.kind == "f" else v
for y in numbers(built()(**keras.tree.map_structure(large, inputs))):
    assert np.isfinite(y).all(), f"inputs of size 10,000 give {y.ravel()[:5]}"
