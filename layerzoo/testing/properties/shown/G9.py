"""The gradient of a batch is the mean over its parts, also of added losses, unless samples interact."""

import keras
import numpy as np

from layerzoo.testing.shown import built, claimed, inputs

layer = built()
symbol = lambda x: keras.Input(x.shape[1:], dtype=str(x.dtype))
symbols = keras.tree.map_structure(symbol, inputs)
noisy = {"training": False} if claimed["stochastic"] or claimed["state"] else {}
model = keras.Model(symbols, layer(**symbols, **noisy))
model.compile(keras.optimizers.SGD(1.0), "mse", run_eagerly=True)
start = model.get_weights()


def gradients(given):  # of the mean over the samples, and of the losses that the call adds
    target = keras.tree.map_structure(np.zeros_like, model(given))
    model.train_on_batch(given, target)
    found = [a - b for w, a, b in zip(model.weights, start, model.get_weights()) if w.trainable]
    model.set_weights(start)
    return found


half = lambda x: x[::-1] * x.dtype.type(2) if x.dtype.kind == "f" else x[::-1]
other = keras.tree.map_structure(half, inputs)
both = keras.tree.map_structure(lambda a, b: np.concatenate([a, b]), inputs, other)
if not claimed["couples_batch"]:
    found = zip(layer.trainable_weights, gradients(both), gradients(inputs), gradients(other))
    for weight, whole, first, second in found:
        mean = (first + second) / 2
        close = np.allclose(whole, mean, atol=1e-5 * max(1, np.abs(whole).max()))
        wrong = f"{whole.ravel()[:4]} of a batch, {mean.ravel()[:4]} of its parts"
        assert close, f"{weight.path}: {wrong}"
