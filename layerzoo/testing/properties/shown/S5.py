"""A sample gives the same axes, dtype and values in a batch of one as in a larger batch."""

import keras
import numpy as np

from layerzoo.testing.shown import built, inputs

layer = built()
one = keras.tree.map_structure(lambda x: x[:1], inputs)
two = keras.tree.map_structure(lambda x: np.concatenate([x[:1], x[:1]]), inputs)
for a, e in zip(keras.tree.flatten(layer(**one)), keras.tree.flatten(layer(**two)), strict=True):
    a, e = keras.ops.convert_to_numpy(a), keras.ops.convert_to_numpy(e)[:1]
    assert a.shape == e.shape and a.dtype == e.dtype, f"{a.shape} {a.dtype}, {e.shape} {e.dtype}"
    worst = np.max(np.abs(a.astype("float64") - e.astype("float64")))
    assert worst <= 1e-5 * max(1, np.max(np.abs(e))), f"alone and in a batch differ by {worst}"
