"""Used twice in a model, the layer has one set of variables, twice the losses, and summed gradients."""

import keras
import numpy as np

from layerzoo.testing.shown import built, inputs

layer = built()
once = len(layer.variables)
symbols = keras.tree.map_structure(lambda x: keras.Input(x.shape[1:], dtype=x.dtype), inputs)
twice = keras.Model(keras.tree.flatten(symbols), [layer(**symbols), layer(**symbols)])
assert len(twice.variables) == once, f"used once {once} variables, twice {len(twice.variables)}"
layer(**inputs)
regularized = sum(w.regularizer is not None for w in layer.trainable_weights)
due = 2 * len(layer.losses) - regularized
first, second = twice(keras.tree.flatten(inputs), training=False)
assert len(twice.losses) == due, f"used twice, the layer has {len(twice.losses)} losses, not {due}"
for a, b in zip(keras.tree.flatten(first), keras.tree.flatten(second)):
    a, b = keras.ops.convert_to_numpy(a), keras.ops.convert_to_numpy(b)
    assert np.allclose(a, b, atol=1e-5), f"the first use gives {a}, the second {b}"
