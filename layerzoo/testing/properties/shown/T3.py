"""A state is tensors by sample, which can be reordered, saved, and used again: no call changes them."""

import keras
import numpy as np

from layerzoo.testing.shown import claimed, inputs, numbers

from .close import assert_close
from .steps import go_on, half, layer, name, start, x

tree = keras.tree.map_structure
other = lambda v: np.concatenate([v, v[::-1] * v.dtype.type(2) if v.dtype.kind == "f" else v[::-1]])
more = other if "b" in claimed["dynamic"].split() else lambda v: v
batch, sequence = tree(more, inputs), more(x)
prompt, rest = sequence[:, :half], sequence[:, half:]
_, state = go_on(prompt, start(x=prompt), batch)
for v in keras.tree.flatten(state):
    by_sample = keras.ops.is_tensor(v) and v.shape[0] == len(prompt)
    assert by_sample, f"{type(v)} {v.shape}, not {len(prompt)} samples"
kept = [y.copy() for y in numbers(state)]
due = numbers(layer(**{**batch, name: rest}, initial_state=state))
for given in (state, keras.tree.pack_sequence_as(state, [y.copy() for y in kept])):
    assert_close(go_on(rest, given, batch)[0], due, "again from the same state, and before")
    for y, e in zip(numbers(given), kept):
        assert np.array_equal(y, e), f"after a call from it the state is {y}, before {e}"
order = np.arange(len(prompt))[::-1].copy()
state = tree(lambda v: keras.ops.take(v, order, axis=0), state)
outputs, _ = go_on(rest[order], state, tree(lambda v: v[order], batch))
assert_close(outputs, [y[order] for y in due], "samples reordered")
