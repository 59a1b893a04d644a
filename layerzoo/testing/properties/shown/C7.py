"""A model that is quantised before its first call is loaded as it was saved, and computes the same."""

import keras
import numpy as np

from layerzoo.testing.shown import built, numbers

from .functional import functional, given

model = functional(built())
model.quantize("int8")
model.save("shown.keras")
loaded = keras.saving.load_model("shown.keras")
for y, e in zip(numbers(loaded(given)), numbers(model(given)), strict=True):
    np.testing.assert_allclose(y, e, rtol=1e-5, atol=1e-6)
