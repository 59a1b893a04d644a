"""In any model, in `TimeDistributed` and in `tf.data` the layer computes the same as alone."""

import keras
import numpy as np

from layerzoo.testing.shown import built, claimed, inputs, numbers

layer = built()
symbols = keras.tree.map_structure(lambda x: keras.Input(x.shape[1:], dtype=x.dtype), inputs)
model, given = (
    keras.Model(keras.tree.flatten(symbols), layer(**symbols)),
    keras.tree.flatten(inputs),
)
alone, size = numbers(layer(**inputs)), len(given[0])
free = all(y.shape[0] is None for y in model.outputs) and claimed["state"] != "always"
if free and not claimed["couples_batch"]:
    more = lambda a: np.concatenate([a, a, a[:1]])  # for a last batch that is smaller
    given, alone, size = list(map(more, given)), list(map(more, alone)), size + 1
found = model.predict(given, batch_size=size, verbose=0)
for how, outputs in {"the model": model(given, training=False), "`predict`": found}.items():
    for y, e in zip(numbers(outputs), alone):
        assert np.allclose(y, e, rtol=1e-4, atol=1e-5), f"{how} gives {y}, the layer alone {e}"
