"""Each compiled call computes the same as an eager call, and random noise differs between calls."""

import keras
import numpy as np

from layerzoo.testing.shown import claimed, inputs, numbers

from .close import assert_close
from .compiled import compiled

model, predict = compiled("inference", inputs)
start = model.get_weights()
found = predict()
model.set_weights(start)
assert_close(found, model.layer(**inputs), "compiled, and eager")
if claimed["stochastic"]:
    times = 8 if "b" in claimed["dynamic"].split() else 1
    many = keras.tree.map_structure(lambda x: np.concatenate([x] * times), inputs)
    _, predict = compiled("training", many)
    first, *others = (numbers(predict()) for _ in range(4))
    repeated = all(all(map(np.array_equal, other, first)) for other in others)
    assert not repeated, f"four compiled calls in training all gave {first[0].ravel()[:4]}"
