"""A sequence in parts, each from the state that the last one left, gives what it gives in one call."""

import keras
import numpy as np

from layerzoo.testing.shown import claimed, inputs, make, numbers

from .close import assert_close
from .steps import go_on, layer, n, name, start, x

form = lambda state: str(keras.tree.map_structure(lambda v: (str(v.dtype), tuple(v.shape)), state))
join = lambda e, *ys: np.concatenate(ys, axis=1) if e.shape[1:2] == (n,) else ys[-1]
precision = {"float32": 1e-4, "mixed_float16": 2e-2, "mixed_bfloat16": 1e-1}
for policy, share in precision.items() if claimed["continues"] else ():
    other = layer if policy == "float32" else make(dtype=policy)
    other(**{**inputs, name: x})
    other.set_weights(layer.get_weights())
    whole = numbers(other(**{**inputs, name: x}))
    for sizes in ([n // 3, n - n // 3], [1] * n):
        state, found = start(layer=other), []
        due = form(state) if len(inputs) == 1 else ""
        for end, size in zip(np.cumsum(sizes), sizes):
            y, state = go_on(x[:, end - size : end], state, layer=other)
            due = due or form(state)  # the first call may give the state a context to keep
            assert form(state) == due, f"under {policy} a state {due} became {form(state)}"
            found.append(numbers(y))
        joined = [join(*each) for each in zip(whole, *found)]
        assert_close(joined, whole, f"under {policy}, in {len(sizes)} parts and in one call", share)
try:
    is_refused = not layer(**inputs, return_state=True)
except (ValueError, TypeError):
    is_refused = True
assert is_refused != claimed["continues"], f"a state is refused: {is_refused}"
