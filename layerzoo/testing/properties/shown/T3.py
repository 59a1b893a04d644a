"""A state is tensors by sample, which can be reordered, saved, and used again: no call changes them."""

import keras
import numpy as np

from layerzoo.testing.shown import claimed, numbers

from .steps import demand_close, go_on, half, layer, name, start, x

other = lambda v: np.concatenate([v, v[::-1] * v.dtype.type(2) if v.dtype.kind == "f" else v[::-1]])
if "b" in claimed["dynamic"].split():
    inputs, x = keras.tree.map_structure(other, inputs), other(x)
_, state = go_on(x[:, :half], start())
for v in keras.tree.flatten(state):
    assert keras.ops.is_tensor(v) and v.shape[0] == len(x), (
        f"{type(v)} {v.shape}, not {len(x)} samples"
    )
kept = [y.copy() for y in numbers(state)]
due = numbers(layer(**{**inputs, name: x[:, half:]}, initial_state=state))
for given in (state, keras.tree.pack_sequence_as(state, [y.copy() for y in kept])):
    demand_close(go_on(x[:, half:], given)[0], due, "again from the same state, and before")
    for y, e in zip(numbers(given), kept):
        assert np.array_equal(y, e), f"after a call from it the state is {y}, before {e}"
order = np.arange(len(x))[::-1].copy()
state = keras.tree.map_structure(lambda v: keras.ops.take(v, order, axis=0), state)
inputs = keras.tree.map_structure(lambda v: v[order], inputs)
demand_close(go_on(x[order, half:], state)[0], [y[order] for y in due], "samples reordered")
