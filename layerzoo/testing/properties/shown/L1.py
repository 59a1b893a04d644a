"""In any model, in `TimeDistributed` and in `tf.data` the layer computes the same as alone."""

import numpy as np

from layerzoo.testing.shown import built, claimed, inputs, numbers

from .functional import functional, given

layer = built()
model = functional(layer, any_batch=True)
alone, batch, size = numbers(layer(**inputs)), given, len(given[0])
free = all(y.shape[0] is None for y in model.outputs) and claimed["state"] != "always"
if free and not claimed["couples_batch"]:
    more = lambda a: np.concatenate([a, a, a[:1]])  # for a last batch that is smaller
    alone, batch, size = list(map(more, alone)), list(map(more, given)), size + 1
found = model.predict(batch, batch_size=size, verbose=0)
for how, outputs in {"the model": model(batch, training=False), "`predict`": found}.items():
    for y, e in zip(numbers(outputs), alone):
        assert np.allclose(y, e, rtol=1e-4, atol=1e-5), f"{how} gives {y}, the layer alone {e}"
