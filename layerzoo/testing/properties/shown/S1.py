"""The symbolic output and the one in training have the eager output's structure, rank and known sizes."""

import keras

from layerzoo.testing.shown import inputs, make

from .fitting import check_fit

symbols = keras.tree.map_structure(lambda x: keras.KerasTensor(x.shape, str(x.dtype)), inputs)
told, outputs = make()(**symbols), make()(**inputs)
keras.tree.assert_same_structure(told, outputs)
check_fit(told, outputs)
trained = make()(**inputs, training=True)
keras.tree.assert_same_structure(trained, outputs)
for t, y in zip(keras.tree.flatten(trained), keras.tree.flatten(outputs)):
    assert t.shape == y.shape, f"shape in training {tuple(t.shape)}, at inference {tuple(y.shape)}"
