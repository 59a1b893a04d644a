"""The samples of a batch do not influence each other, unless the card says that they do."""

import keras
import numpy as np

from layerzoo.testing.shown import built, claimed, inputs, numbers

layer = built()
other = lambda v: np.concatenate([v, v[::-1] * v.dtype.type(2) if v.dtype.kind == "f" else v[::-1]])
batch = keras.tree.map_structure(other, inputs)
for row in range(2):
    alone = keras.tree.map_structure(lambda v: v[row : row + 1], batch)
    for y, e in zip(numbers(layer(**batch)), numbers(layer(**alone))):
        assert len(y) > row, f"only {len(y)} samples come out of a batch"
        assert y[:1].shape == e.shape, f"in a batch {y.shape}, alone {e.shape}"
        y, e = y[row].ravel(), e[0].ravel()
        assert np.allclose(y, e, atol=1e-5), f"in a batch {y[:4]}, alone {e[:4]}"
half = lambda rows: keras.tree.map_structure(lambda v: np.concatenate([v, rows(v)]), inputs)


def train(given):  # with the same noise each time
    for v in layer.variables:
        if "seed_gen" in v.path:
            v.assign([7, 0])
    keras.utils.set_random_seed(7)
    return numbers(layer(**given, training=True))


if not claimed["couples_batch"] and not claimed["state"]:
    for y, e in zip(train(half(lambda v: v)), train(half(lambda v: v * v.dtype.type(0)))):
        y, e = y[: len(y) // 2].ravel(), e[: len(e) // 2].ravel()
        assert np.allclose(y, e, atol=1e-5), f"in training {y[:4]}, beside others {e[:4]}"
