"""Variable paths are unique within a layer, and each instance has the same paths in the same order."""

import keras

from layerzoo.testing.shown import inputs, make


def paths():
    keras.backend.clear_session(free_memory=False)  # layers without a name are numbered anew
    layer = make(name="subject")
    layer(**inputs)
    return [variable.path for variable in layer.variables]


first, second = paths(), paths()
assert len(set(first)) == len(first), f"a path is used twice: {first}"
assert first == second, f"one instance has {first}, the next one {second}"
