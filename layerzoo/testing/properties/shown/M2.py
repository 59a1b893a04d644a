"""The layer passes on the declared mask, eager and symbolic, and the mask fits the output's shape."""

import keras
import numpy as np
from keras.src.backend.common import masking as on_tensors

from layerzoo.testing.shown import claimed, inputs, make

first, masking = next(iter(inputs)), claimed["masking"]
kept = (masking.get(first) if isinstance(masking, dict) else masking) in ("propagates", "passes")
for x in keras.tree.flatten(inputs[first]):
    x[:, 1:] = 0  # which `Masking` and `Embedding` take for padding
tensors = keras.tree.map_structure(keras.ops.convert_to_tensor, inputs)
leaves, layer = keras.tree.flatten(tensors[first]), make()
padded = np.broadcast_to(np.arange(x.shape[1]) < 1, x.shape[:2])
for training, mask in ((False, padded), (True, padded[:, ::-1])):
    for leaf in leaves:
        on_tensors.set_keras_mask(leaf, keras.ops.convert_to_tensor(mask.copy()))
    for y in keras.tree.flatten(layer(**tensors, training=training)):
        found, due = on_tensors.get_keras_mask(y), kept and tuple(y.shape[:2]) == mask.shape
        said = f"an output {tuple(y.shape)} has the mask {found}, due: {due}"
        assert (found is not None) == due, said
        same = not due or np.array_equal(keras.ops.convert_to_numpy(found), mask)
        assert same, f"training={training}: mask in {mask}, mask out {found}"
        if due and hasattr(inputs[first], "dtype"):
            other = mask[:, ::-1].copy()
            computed = layer.compute_mask(leaves[0], other)
            assert np.array_equal(computed, other), f"compute_mask of {other} gives {computed}"
