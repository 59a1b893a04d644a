"""Instances share no variables; other instances and past calls do not change what a layer computes."""

import keras
import numpy as np

from layerzoo.testing.shown import built, claimed, inputs, neighbour, numbers

layer = built()
config, before = str(layer.get_config()), numbers(layer(**inputs))


def train():  # with the same noise each time
    [v.assign([7, 0]) for v in layer.variables if "seed_gen" in v.path]
    keras.utils.set_random_seed(7)
    return numbers(layer(**inputs, training=True))


once = train()
shared = [v.path for v in neighbour().variables if any(v is known for known in layer.variables)]
assert not shared, f"two instances share {shared}"
for a, e in zip(numbers(layer(**inputs)), before, strict=True):
    worst = np.max(np.abs(a - e))
    assert worst <= 1e-6, f"using another instance changed the outputs by {worst}"
now = str(layer.get_config())
assert now == config, f"using another instance changed the config {config} to {now}"
for a, e in zip(train(), once, strict=True):
    same = claimed["state"] or np.allclose(a, e, atol=1e-6)
    assert same, f"in training {e.ravel()[:4]}, after another instance was used {a.ravel()[:4]}"
first, layer.input_spec = next(iter(inputs)), None
try:  # with one entry too many
    layer(**{**inputs, first: np.concatenate([inputs[first]] * 2, axis=-1)}, training=True)
except Exception as error:
    print("a call in training failed:", type(error).__name__)
for a, e in zip(numbers(layer(**inputs, training=False)), before, strict=True):
    same = claimed["state"] or np.allclose(a, e, atol=1e-6)
    assert same, f"at inference {e.ravel()[:4]}, after an error in training {a.ravel()[:4]}"
