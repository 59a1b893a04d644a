"""In float16, inputs of size 1 and 30 give the same as in float32, if float16 can hold it."""

import keras
import numpy as np

from layerzoo.testing.shown import built, inputs, make, numbers

exact = built()
keras.config.set_dtype_policy("mixed_float16")  # which a layer that is passed in follows
half = make(dtype="mixed_float16")
keras.config.set_dtype_policy("float32")
half(**inputs)
weights = exact.get_weights()
for size in (1, 30):
    half.set_weights(weights)
    scaled = lambda v: v * np.float32(size) if v.dtype.kind == "f" else v
    shaken = lambda v: v * np.float32(1.002) ** np.sign(v) if v.dtype.kind == "f" else v
    x = keras.tree.map_structure(scaled, inputs)
    nearby = numbers(exact(**keras.tree.map_structure(shaken, x)))
    for y, e, n in zip(numbers(half(**x)), numbers(exact(**x)), nearby):
        y = np.where(abs(e) <= 65504, y.astype("float32"), e)
        allowed = 5e-2 * max(1, np.max(abs(e))) + 8 * np.max(abs(n - e))  # what rounding may do
        error = np.max(abs(y - e))
        assert error <= allowed, f"float16 {y.ravel()[:4]}, float32 {e.ravel()[:4]}: off by {error}"
