"""A sample gives the same axes, dtype and values in a batch of one as in a larger batch."""

import keras
import numpy as np

from layerzoo.testing.shown import built, inputs, numbers

layer = built()
one = keras.tree.map_structure(lambda x: x[:1], inputs)
two = keras.tree.map_structure(lambda x: np.concatenate([x[:1], x[:1]]), inputs)
for alone, beside in zip(numbers(layer(**one)), numbers(layer(**two)), strict=True):
    y, e = alone, beside[:1]
    assert y.shape == e.shape and y.dtype == e.dtype, f"{y.shape} {y.dtype}, {e.shape} {e.dtype}"
    worst = np.max(np.abs(y.astype("float64") - e.astype("float64")))
    assert worst <= 1e-5 * max(1, np.max(np.abs(e))), f"alone and in a batch differ by {worst}"
