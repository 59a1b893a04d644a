"""A call gives the same by keyword or position, with reordered dicts, and with tuples for lists."""

import numpy as np

from layerzoo.testing.shown import built, inputs, make, numbers


def turned(x):  # keywords and dicts in another order, tuples for lists
    if isinstance(x, dict):
        return {name: turned(x[name]) for name in reversed(x)}
    return tuple(x) if isinstance(x, list) else x


layer, new = built(), make()
new(**turned(inputs))
new.set_weights(layer.get_weights())
due = numbers(layer(**inputs))
for outputs in (new(**inputs), layer(**turned(inputs))):
    for y, e in zip(numbers(outputs), due):
        assert np.allclose(y, e, atol=1e-5), f"in another order {y}, in the first {e}"
