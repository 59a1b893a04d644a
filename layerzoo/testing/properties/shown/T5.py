"""A state of another form or batch, or without room, raises a `ValueError` that names the argument."""

import keras

from .close import assert_close
from .steps import go_on, layer, n, start, x


def refused(state):
    try:
        go_on(x, state)
    except Exception as error:  # Keras adds the arguments to any error
        said = str(error).split("Arguments received by")[0]
        return isinstance(error, ValueError) and "initial_state" in said
    return False


state = start()
wrong, leaves = {"in a dict": {"state": state}}, keras.tree.flatten(state)
if leaves:
    wrong["of another batch"] = layer.get_initial_state(batch_size=len(x) + 1, length=n)
for i, v in enumerate(leaves):
    kind = "int32" if "float" in str(v.dtype) else "float32"
    for what, new in (("dtype", keras.ops.cast(v, kind)), ("rank", keras.ops.expand_dims(v, -1))):
        new = [*leaves[:i], new, *leaves[i + 1 :]]
        wrong[f"with another {what} of tensor {i}"] = keras.tree.pack_sequence_as(state, new)
for what, given in wrong.items():
    assert refused(given), f"a state {what} raises no ValueError that names initial_state"
if not refused(start(1)):
    assert_close(go_on(x, start(1))[0], go_on(x, state)[0], "with room for one step, and for all")
