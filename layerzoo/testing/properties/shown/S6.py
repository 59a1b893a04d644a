"""An empty batch gives an empty batch, unless the card says that it is refused."""

import keras

from layerzoo.testing.shown import built, inputs

layer = built()
none = keras.tree.map_structure(lambda x: x[:0], inputs)
of_none, outputs = keras.tree.flatten(layer(**none)), keras.tree.flatten(layer(**inputs))
for y, e in zip(of_none, outputs, strict=True):
    found, due = tuple(y.shape), (0, *e.shape[1:])
    assert found == due, f"an empty batch gives the shape {found}, not {due}"
