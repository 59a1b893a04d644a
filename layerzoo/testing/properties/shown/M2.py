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
for x in keras.tree.flatten(tensors[first]):
    mask = np.broadcast_to(np.arange(x.shape[1]) < 1, x.shape[:2])
    on_tensors.set_keras_mask(x, keras.ops.convert_to_tensor(mask))
layer = make()
for training in (False, True):
    mask = np.flip(mask, axis=1) if training else mask
    for x in keras.tree.flatten(tensors[first]):
        on_tensors.set_keras_mask(x, keras.ops.convert_to_tensor(mask.copy()))
    for y in keras.tree.flatten(layer(**tensors, training=training)):
        found, due = on_tensors.get_keras_mask(y), kept and tuple(y.shape[:2]) == mask.shape
        assert (found is not None) == due, (
            f"an output {tuple(y.shape)} has the mask {found}, due: {due}"
        )
        same = not due or np.array_equal(keras.ops.convert_to_numpy(found), mask)
        assert same, f"training={training}: mask in {mask}, mask out {found}"
        if due and hasattr(inputs[first], "dtype"):
            said = layer.compute_mask(x, mask[:, ::-1].copy())
            assert np.array_equal(said, mask[:, ::-1]), (
                f"compute_mask of {mask[:, ::-1]} gives {said}"
            )
