"""Integers in place of floats of equal value give the same outputs, or are refused."""

import keras
import numpy as np

from layerzoo.testing.shown import built, inputs, numbers

layer = built()
whole = keras.tree.map_structure(lambda v: (3 * v).round() if v.dtype.kind == "f" else v, inputs)
integers = lambda v: v.astype("int32") if v.dtype.kind == "f" else v
due = numbers(layer(**whole))
try:
    found = numbers(layer(**keras.tree.map_structure(integers, whole)))
except Exception:  # refused, which is fine
    found = due
for y, e in zip(found, due):
    assert np.allclose(y, e, atol=1e-5), f"integers in: {y.ravel()[:4]}, floats in: {e.ravel()[:4]}"
