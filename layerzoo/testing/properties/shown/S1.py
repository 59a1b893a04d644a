"""The symbolic output and the one in training have the eager output's structure, rank and known sizes."""

import keras

from layerzoo.testing.shown import inputs, make

symbols = keras.tree.map_structure(lambda x: keras.KerasTensor(x.shape, str(x.dtype)), inputs)
said, found = make()(**symbols), make()(**inputs)
keras.tree.assert_same_structure(said, found)
for s, f in zip(keras.tree.flatten(said), keras.tree.flatten(found)):
    s, f = tuple(s.shape), tuple(f.shape)
    fits = len(s) == len(f) and all(a in (None, b) for a, b in zip(s, f))
    assert fits, f"symbolic shape {s}, eager shape {f}"
trained = make()(**inputs, training=True)
keras.tree.assert_same_structure(trained, found)
for t, f in zip(keras.tree.flatten(trained), keras.tree.flatten(found)):
    assert t.shape == f.shape, f"shape in training {tuple(t.shape)}, at inference {tuple(f.shape)}"
