"""If claimed causal, no output depends on later steps or on their number; if claimed not, some does."""

import keras
import numpy as np

from layerzoo.testing.shown import built, claimed, inputs, numbers

layer = built()
name, x = next(iter(inputs.items()))
if claimed["causal"] and "t" in claimed["dynamic"].split() and len(inputs) == 1:
    x = np.concatenate([x] * 8, axis=1)
for k in range(1, x.shape[1]):
    later = np.concatenate([x[:, :k], x[::-1, :k][:, :1] + x[:, k:] * x.dtype.type(0)], axis=1)
    for y, e in zip(
        numbers(layer(**{**inputs, name: later})), numbers(layer(**{**inputs, name: x}))
    ):
        y, e = y[:, :k], e[:, :k]
        same = np.allclose(y, e, atol=1e-6)
        assert same, f"steps from {k} on changed; before them {y.ravel()[:4]}, not {e.ravel()[:4]}"
    if claimed["causal"] and "t" in claimed["dynamic"].split():
        whole = numbers(layer(**{**inputs, name: x}))
        for y, e in zip(numbers(layer(**{**inputs, name: x[:, :k]})), whole):
            same = np.allclose(y, e[:, :k], atol=1e-5)
            assert same, f"the first {k} steps alone {y.ravel()[:4]}, not {e[:, :k].ravel()[:4]}"
    if claimed["causal"] and not claimed["couples_batch"] and not claimed["state"]:

        def train(given):  # with the same noise each time
            [v.assign([7, 0]) for v in layer.variables if "seed_gen" in v.path]
            keras.utils.set_random_seed(7)
            return numbers(layer(**{**inputs, name: given}, training=True))

        for y, e in zip(train(later), train(x)):
            same = np.allclose(y[:, :k], e[:, :k], atol=1e-6)
            assert same, f"in training, steps from {k} on changed what is before them: {y}, not {e}"
