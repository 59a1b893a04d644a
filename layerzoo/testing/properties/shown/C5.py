"""`copy.deepcopy` and `pickle` give an equal layer, `clone_model` a new one; none shares variables."""

import copy
import pickle

import keras
import numpy as np

from layerzoo.testing.shown import built, inputs, numbers


def symbol(x):
    return keras.Input(batch_shape=x.shape, dtype=str(x.dtype))


layer = built()
for other in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
    for a, e in zip(numbers(other(**inputs)), numbers(layer(**inputs)), strict=True):
        np.testing.assert_allclose(a, e, rtol=1e-5, atol=1e-6)
symbols = keras.tree.map_structure(symbol, inputs)
model = keras.Model(keras.tree.flatten(symbols), layer(**symbols))
clone = keras.models.clone_model(model).get_layer(layer.name)
kept, found = ([tuple(w.shape) for w in each.weights] for each in (layer, clone))
assert kept == found, f"weights {kept}, in the clone {found}"
shared = [w.path for w in clone.weights if any(w is known for known in layer.weights)]
assert not shared, f"the clone shares {shared}"
