"""The same seed gives the same noise under any global seeds, and successive calls differ."""

import keras
import numpy as np

from layerzoo.testing.shown import arguments, built, inputs, make, numbers

batch = keras.tree.map_structure(lambda v: np.concatenate([v] * 16), inputs)
model, calls = built(), []
settings = {"seed": 1234} if "seed" in {**arguments, **model.get_config()} else {}
for start in (1, 2):
    keras.utils.set_random_seed(start)
    layer = make(**settings)
    layer(**batch)
    layer.set_weights(model.get_weights())
    for v in layer.variables:
        if "seed_gen" in v.path and not settings:
            v.assign([1234, 0])
    calls.append(np.stack([numbers(layer(**batch, training=True))[0] for _ in range(4)]))
first, second = calls
same = np.array_equal(first, second)
assert same, f"one seed: {first.ravel()[:4]}, and then {second.ravel()[:4]}"
assert np.ptp(first, axis=0).any(), f"4 calls in training all gave {first[0].ravel()[:4]}"
