"""Two calls at inference give identical bits and change no state."""

import numpy as np

from layerzoo.testing.shown import built, claimed, inputs, numbers

layer = built()
layer(**inputs, training=False)
state = numbers([v.value for v in layer.variables])
first, second = (numbers(layer(**inputs, training=False)) for _ in range(2))
for y, e in zip(second, first):
    assert np.array_equal(y, e), f"first call {e.ravel()[:4]}, second call {y.ravel()[:4]}"
for v, new, old in zip(layer.variables, numbers([v.value for v in layer.variables]), state):
    stays = np.array_equal(new, old) or claimed["state"] == "always"
    assert stays, f"{v.path} was {old} and is {new} after two calls at inference"
