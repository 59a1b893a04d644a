"""`compute_output_shape` returns the shapes of the outputs, also if the batch is unknown."""

import keras

from layerzoo.testing.shown import inputs, make, shapes

from .fitting import check_fit

layer = make()
outputs = layer(**inputs)
for given in (shapes, keras.tree.map_shape_structure(lambda s: (None, *s[1:]), shapes)):
    told = layer.compute_output_shape(*given)
    check_fit(keras.tree.map_shape_structure(keras.KerasTensor, told), outputs)
