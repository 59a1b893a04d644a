"""After a traced call no attribute holds one of its tensors, and the layer still runs and prints."""

import keras

from layerzoo.testing.shown import inputs

from .compiled import compiled

model, predict = compiled("training", inputs, "auto")
predict()
if keras.backend.backend() == "torch":  # where any call makes a graph
    model.layer(**inputs, training=True)
for name, value in vars(model.layer).items():
    for x in keras.tree.flatten(value):
        if name != "_losses" and keras.ops.is_tensor(x):  # Keras keeps those until the next call
            keras.ops.convert_to_numpy(x)  # raises for a tensor of a trace that is over
            assert getattr(x, "grad_fn", None) is None, f"{name} keeps the graph of a call: {x}"
