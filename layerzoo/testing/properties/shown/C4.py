"""A `.weights.h5` file loads into a layer that was built but never called, and gives the same outputs."""

import keras
import numpy as np

from layerzoo.testing.shown import built, inputs, make, numbers, shapes

layer, bare = built(name="subject"), make(name="subject")
bare.build(*shapes)
saved, loaded = keras.Sequential([layer]), keras.Sequential([bare])
saved.built = loaded.built = True
saved.save_weights("shown.weights.h5")
loaded.load_weights("shown.weights.h5")
for y, e in zip(numbers(bare(**inputs)), numbers(layer(**inputs)), strict=True):
    np.testing.assert_allclose(y, e, rtol=1e-5, atol=1e-6)
