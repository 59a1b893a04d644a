"""One `fit` step moves every trainable weight and no other, and leaves all of them finite."""

import keras
import numpy as np

from layerzoo.testing.shown import built, claimed, inputs, numbers

layer = built()
symbol = lambda x: keras.Input(batch_shape=x.shape, dtype=str(x.dtype))
symbols = keras.tree.map_structure(symbol, inputs)
model = keras.Model(symbols, layer(**symbols))
before = numbers(layer.weights)
rng = np.random.default_rng(1)
target = keras.tree.map_structure(lambda y: rng.normal(size=y.shape), model(inputs))
model.compile(keras.optimizers.SGD(0.5), "mse")
data = dict(x=inputs, y=target, batch_size=len(keras.tree.flatten(inputs)[0]), verbose=0)
model.fit(**data, shuffle=False)
after = numbers(layer.weights)
loss = model.evaluate(**data)
for weight, old, new in zip(layer.weights, before, after):
    assert np.isfinite(new).all(), f"{weight.path} is {new} after a step"
    moved = not np.array_equal(old, new)
    if not weight.trainable and not claimed["state"] and not claimed["couples_batch"]:
        assert not moved, f"{weight.path} does not train, was {old} and is {new}"
    if weight.trainable and not moved:
        weight.assign(old + 0.1)
        other = model.evaluate(**data)
        changes = f"changes the loss from {loss} to {other} but did not move"
        assert other == loss, f"{weight.path} {changes}"
