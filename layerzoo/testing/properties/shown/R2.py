"""A layer trains only if told to, and then gives what inference gives, unless the card says otherwise."""

import keras
import numpy as np

from layerzoo.testing.shown import built, claimed, inputs, numbers

layer = built()
differs = claimed["train_differs"]
times = 16 if differs and "b" in claimed["dynamic"].split() else 1
batch = keras.tree.map_structure(lambda v: np.concatenate([v] * times), inputs)
expected = numbers(layer(**batch, training=differs))
quiet = numbers(layer(**batch, training=False))
for y, e in zip(numbers(layer(**batch)), quiet):
    same = np.allclose(y, e, atol=1e-6)
    assert same, f"without `training` {y.ravel()[:4]}, inference {e.ravel()[:4]}"
other = "training once more" if differs else "inference"
for y, e in zip(numbers(layer(**batch, training=True)), expected):
    error, allowed = abs(y - e).max(), 1e-6 * max(1, abs(e).max())
    assert error <= allowed, f"training {y.ravel()[:4]}, {other} {e.ravel()[:4]}: off by {error}"
