"""Instances share no variables; other instances and past calls do not change what a layer computes."""

import contextlib

import keras
import numpy as np

from layerzoo.testing.shown import built, claimed, inputs, neighbour, numbers

layer = built()


def train():  # with the same noise each time
    for v in layer.variables:
        if "seed_gen" in v.path:
            v.assign([7, 0])
    keras.utils.set_random_seed(7)
    return numbers(layer(**inputs, training=True))


config, due, trained = str(layer.get_config()), numbers(layer(**inputs)), train()
shared = [v.path for v in neighbour().variables if any(v is known for known in layer.variables)]
assert not shared, f"two instances share {shared}"
for y, e in zip(numbers(layer(**inputs)), due, strict=True):
    worst = np.max(np.abs(y - e))
    assert worst <= 1e-6, f"using another instance changed the outputs by {worst}"
now = str(layer.get_config())
assert now == config, f"using another instance changed the config {config} to {now}"
for y, e in zip(train(), trained, strict=True):
    same = claimed["state"] or np.allclose(y, e, atol=1e-6)
    assert same, f"in training {e.ravel()[:4]}, after another instance was used {y.ravel()[:4]}"
first, layer.input_spec = next(iter(inputs)), None
with contextlib.suppress(Exception):  # a call in training fails, with one entry too many
    layer(**{**inputs, first: np.concatenate([inputs[first]] * 2, axis=-1)}, training=True)
for y, e in zip(numbers(layer(**inputs, training=False)), due, strict=True):
    same = claimed["state"] or np.allclose(y, e, atol=1e-6)
    assert same, f"at inference {e.ravel()[:4]}, after an error in training {y.ravel()[:4]}"
