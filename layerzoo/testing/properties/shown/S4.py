"""`compute_output_shape` returns the shapes of the outputs, also if the batch is unknown."""

import keras

from layerzoo.testing.shown import inputs, make, shapes

layer = make()
outputs = keras.tree.flatten(layer(**inputs))
for batch in (shapes, keras.tree.map_shape_structure(lambda s: (None, *s[1:]), shapes)):
    said = keras.tree.map_shape_structure(keras.KerasTensor, layer.compute_output_shape(*batch))
    for s, y in zip(keras.tree.flatten(said), outputs, strict=True):
        s, f = tuple(s.shape), tuple(y.shape)
        fits = len(s) == len(f) and all(a in (None, b) for a, b in zip(s, f))
        assert fits, f"`compute_output_shape` says {s}, the output has {f}"
