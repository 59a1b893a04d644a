"""Variable paths are unique within a layer, and each instance has the same paths in the same order."""

import keras

from layerzoo.testing.shown import inputs, make

names = []
for _ in range(2):
    keras.backend.clear_session(free_memory=False)  # counts layers without a name anew
    layer = make(name="subject")
    layer(**inputs)
    names.append([variable.path for variable in layer.variables])
assert len(set(names[0])) == len(names[0]), f"a name is used twice: {names[0]}"
assert names[0] == names[1], f"one instance has {names[0]}, the next one {names[1]}"
