"""A sequence in parts, each from the state that the last one left, gives what it gives in one call."""

import keras
import numpy as np

from layerzoo.testing.shown import built, claimed, inputs, make, numbers, refused

layer = single = built()
name, x = next(iter(inputs.items()))
x = np.concatenate([x, x[:, ::-1]] * 4, axis=1)  # more steps
n, half = x.shape[1], x.shape[1] // 2


def start(length=n):
    return layer.get_initial_state(batch_size=len(x), length=length)


def go_on(steps, state, **how):
    return layer(**{**inputs, name: steps}, initial_state=state, return_state=True, **how)


def demand_close(found, expected, what, share=1e-4):
    for y, e in zip(numbers(found), numbers(expected)):
        assert y.shape == e.shape, f"{what}: {y.shape} and {e.shape}"
        y, e = y.astype("float32"), e.astype("float32")
        close = np.abs(y - e).max(initial=0) <= share * max(1, np.abs(e).max(initial=0))
        assert close, f"{what}: {y.ravel()[:4]} and {e.ravel()[:4]}"


form = lambda state: str(keras.tree.map_structure(lambda v: (str(v.dtype), tuple(v.shape)), state))
precision = {"float32": 1e-4, "mixed_float16": 2e-2, "mixed_bfloat16": 1e-1}
for policy, share in precision.items() if claimed["continues"] else ():
    layer = single if policy == "float32" else make(dtype=policy)
    layer(**{**inputs, name: x})
    layer.set_weights(single.get_weights())
    whole = numbers(layer(**{**inputs, name: x}))
    for sizes in ([n // 3, n - n // 3], [1] * n):
        state, found = start(), []
        due = form(state) if len(inputs) == 1 else ""
        for end, size in zip(np.cumsum(sizes), sizes):
            y, state = go_on(x[:, end - size : end], state)
            due = due or form(state)  # the first call may give the state a context to keep
            assert form(state) == due, f"under {policy} a state {due} became {form(state)}"
            found.append(numbers(y))
        join = lambda e, *ys: np.concatenate(ys, axis=1) if e.shape[1:2] == (n,) else ys[-1]
        joined = [join(*each) for each in zip(whole, *found)]
        demand_close(joined, whole, f"under {policy}, in {len(sizes)} parts and in one call", share)
try:
    refused = not layer(**inputs, return_state=True)
except (ValueError, TypeError):
    refused = True
assert refused != claimed["continues"], f"a state is refused: {refused}"
