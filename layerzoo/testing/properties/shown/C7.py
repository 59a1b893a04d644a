"""A model that is quantised before its first call is loaded as it was saved, and computes the same."""

import keras
import numpy as np

from layerzoo.testing.shown import built, inputs, numbers

symbol = lambda x: keras.Input(batch_shape=x.shape, dtype=str(x.dtype))
symbols = keras.tree.map_structure(symbol, inputs)
model = keras.Model(keras.tree.flatten(symbols), built()(**symbols))
model.quantize("int8")
model.save("shown.keras")
loaded = keras.saving.load_model("shown.keras")
given = keras.tree.flatten(inputs)
for a, e in zip(numbers(loaded(given)), numbers(model(given)), strict=True):
    np.testing.assert_allclose(a, e, rtol=1e-5, atol=1e-6)
