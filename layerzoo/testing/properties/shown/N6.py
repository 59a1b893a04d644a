"""The outputs equal those of the NumPy function that the card gives as `reference`."""

import keras

from layerzoo.testing.shown import built, claimed, inputs, numbers

exact = {k: v.astype("float64") if v.dtype.kind == "f" else v for k, v in inputs.items()}
layer = built()
for y, e in zip(numbers(layer(**inputs)), keras.tree.flatten(claimed["reference"](layer, exact))):
    allowed = 1e-5 * max(1, abs(e).max())
    assert abs(y - e).max() <= allowed, f"the layer {y.ravel()[:4]}, the equation {e.ravel()[:4]}"
