"""An empty batch gives an empty batch, unless the card says that it is refused."""

import keras

from layerzoo.testing.shown import built, inputs

layer = built()
none = keras.tree.map_structure(lambda x: x[:0], inputs)
for a, e in zip(
    keras.tree.flatten(layer(**none)), keras.tree.flatten(layer(**inputs)), strict=True
):
    a, e = tuple(a.shape), (0, *e.shape[1:])
    assert a == e, f"an empty batch gives the shape {a}, not {e}"
