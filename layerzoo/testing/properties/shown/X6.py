"""A model with the layer can be exported, and the loaded export computes the same for any batch size."""

import tempfile

import keras
import numpy as np

from layerzoo.testing.shown import built, claimed, inputs

from .close import assert_close

layer, path = built(), tempfile.mkdtemp() + "/model"
free = "b" in claimed["dynamic"].split()
batch = (lambda x: (None, *x.shape[1:])) if free else (lambda x: x.shape)
symbol = lambda x: keras.Input(batch_shape=batch(x), dtype=str(x.dtype))
symbols = keras.tree.map_structure(symbol, inputs)
model = keras.Model(symbols, layer(**symbols))
spec = keras.tree.map_structure(lambda x: keras.InputSpec(str(x.dtype), x.shape), inputs)
how = {} if free else {"input_signature": [spec]}
if keras.backend.backend() == "torch":
    import torch

    if free:
        dynamic = keras.tree.map_structure(lambda x: {0: torch.export.Dim.DYNAMIC}, inputs)
        how = {"dynamic_shapes": [(dynamic,)]}
    model.export(path + ".pt2", format="torch", verbose=False, **how)
    loaded, tensor = torch.export.load(path + ".pt2").module(), torch.tensor
else:
    import tensorflow as tf

    model.export(path, format="tf_saved_model", verbose=False, **how)
    program = tf.saved_model.load(path)
    loaded, tensor = program.serve, tf.constant
for n in (1, 2) if free else (1,):
    some = keras.tree.map_structure(lambda x: np.concatenate([x] * n), inputs)
    found = loaded(keras.tree.map_structure(tensor, some))
    assert_close(found, layer(**some), f"exported and not, the batch {n} times")
