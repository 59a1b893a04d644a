"""After a traced call no attribute holds one of its tensors, and the layer still runs and prints."""

import keras
import numpy as np

from layerzoo.testing.shown import built, inputs


def run(layer, given):
    return layer(**given, training=True)


class Probe(keras.Model):  # it owns its inputs, so that a step of SGD shows their gradients too
    def build(self, shape):
        owned = lambda x: keras.Variable(x, trainable=x.dtype.kind == "f", name="input")
        self.layer, self.owned = built(), keras.tree.map_structure(owned, inputs)

    def call(self, _):
        outputs = run(self.layer, keras.tree.map_structure(keras.ops.convert_to_tensor, self.owned))
        floats = [y for y in keras.tree.flatten(outputs) if "float" in str(y.dtype)]
        return keras.ops.concatenate([keras.ops.reshape(y, (1, -1)) for y in floats], axis=1)


probe, one = Probe(), np.zeros((1, 1))
u = np.random.default_rng(1).normal(size=probe(one).shape).astype("float32")
start = probe.get_weights()


def gradients(**how):  # each weight's and input's, of the sum of `u` times the outputs
    probe.set_weights(start)
    loss = lambda u, y: keras.ops.sum(u * y)
    probe.compile(keras.optimizers.SGD(1.0), loss, **{"run_eagerly": True, **how})
    probe.train_on_batch(one, u)
    return [(w, a - b) for w, a, b in zip(probe.weights, start, probe.get_weights()) if w.trainable]


gradients(run_eagerly=False)
for name, value in vars(probe.layer).items():
    for x in keras.tree.flatten(value):
        if name != "_losses" and keras.ops.is_tensor(x):  # Keras keeps those until the next call
            keras.ops.convert_to_numpy(x)  # raises for a tensor of a trace that is over
            assert getattr(x, "grad_fn", None) is None, f"{name} keeps the graph of a call: {x}"
