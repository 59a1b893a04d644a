"""A call gives the same by keyword or position, with reordered dicts, and with tuples for lists."""

import keras
import numpy as np

from layerzoo.testing.shown import built, inputs, make


def turned(x, depth=0):  # keywords and dicts in another order, tuples for lists
    if isinstance(x, dict):
        return {name: turned(x[name], depth + 1) for name in reversed(x)}
    return tuple(x) if isinstance(x, list) else x


layer, new = built(), make()
new(**turned(inputs))
new.set_weights(layer.get_weights())
outputs = layer(**inputs), new(**inputs), layer(**turned(inputs))
due, of_new, of_turned = map(keras.tree.flatten, outputs)
for e, y in [*zip(due, of_new), *zip(due, of_turned)]:
    y, e = keras.ops.convert_to_numpy(y), keras.ops.convert_to_numpy(e)
    assert np.allclose(y, e, atol=1e-5), f"in another order {y}, in the first {e}"
