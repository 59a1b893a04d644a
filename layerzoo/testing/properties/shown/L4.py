"""Neither a call nor the constructor changes the caller's arrays, tensors, masks or configs."""

import copy

import keras
import numpy as np

from layerzoo.testing.shown import arguments, built, inputs

kept_arguments = {k: list(v) if isinstance(v, list) else v for k, v in arguments.items()}
layer = built()
assert arguments == kept_arguments, f"the constructor changed {kept_arguments} to {arguments}"
leaves, kept = keras.tree.flatten(inputs), keras.tree.flatten(copy.deepcopy(inputs))
for training in (False, True):
    layer(**inputs, training=training)
    for before, after, due in zip(leaves, keras.tree.flatten(inputs), kept):
        assert after is before, f"a list or dict of inputs holds {after} now instead of {before}"
        assert np.array_equal(after, due), f"before the call {due}, after it {after}"
