"""In training, inputs of ones give outputs with the declared mean and variance."""

import keras
import numpy as np

from layerzoo.testing.shown import built, claimed, inputs, numbers

ones = keras.tree.map_structure(lambda v: np.ones((100_000, *v.shape[1:]), v.dtype), inputs)
mean, variance = claimed["noise"]
y = numbers(built()(**ones, training=True))[0]
for claim, x, due in (("mean", y, mean), ("variance", (y - mean) ** 2, variance)):
    x = x.reshape(len(x), -1).mean(axis=1, dtype="float64")
    allowed = 6 * x.std() / len(x) ** 0.5 + 1e-6 * max(1, abs(due))
    assert abs(x.mean() - due) <= allowed, f"{claim} {x.mean()}, not {due}; {allowed} is allowed"
