"""Floats and integers of other widths, as NumPy makes them, are accepted and give the same outputs."""

import keras
import numpy as np

from layerzoo.testing.shown import built, inputs, numbers

layer = built()
floats = any(v.dtype.kind == "f" for v in keras.tree.flatten(inputs))
exact = keras.tree.map_structure(lambda v: (v * 16).round() / 16 if floats else v, inputs)
exact = keras.tree.map_structure(lambda v, like: v.astype(like.dtype), exact, inputs)
for dtype in ("float64", "float16") if floats else ("int64", "int32"):
    change = lambda v: v.astype(dtype) if v.dtype.kind == dtype[0] else v
    found, due = (layer(**x) for x in (keras.tree.map_structure(change, exact), exact))
    for y, e in zip(keras.tree.flatten(found), keras.tree.flatten(due)):
        assert y.dtype == e.dtype, f"{dtype} in, {y.dtype} out, not {e.dtype}"
    for y, e in zip(numbers(found), numbers(due)):
        allowed = 1e-6 if layer.autocast else 2e-2
        assert np.allclose(y, e, atol=allowed), f"{dtype} in: {y.ravel()[:4]}, not {e.ravel()[:4]}"
