"""`copy.deepcopy` and `pickle` give an equal layer, `clone_model` a new one; none shares variables."""

import copy
import pickle

import keras
import numpy as np

from layerzoo.testing.shown import built, inputs, numbers

from .functional import functional

layer = built()
for other in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
    for y, e in zip(numbers(other(**inputs)), numbers(layer(**inputs)), strict=True):
        np.testing.assert_allclose(y, e, rtol=1e-5, atol=1e-6)
clone = keras.models.clone_model(functional(layer)).get_layer(layer.name)
kept, found = ([tuple(w.shape) for w in each.weights] for each in (layer, clone))
assert kept == found, f"weights {kept}, in the clone {found}"
shared = [w.path for w in clone.weights if any(w is known for known in layer.weights)]
assert not shared, f"the clone shares {shared}"
