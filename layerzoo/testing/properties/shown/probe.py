"""A model whose training step shows the gradients of a layer."""

import keras
import numpy as np

one = np.zeros((1, 1))


class Probe(keras.Model):  # it owns its inputs, so that a step of SGD shows their gradients too
    def __init__(self, layer, given):
        super().__init__()
        owned = lambda x: keras.Variable(x, trainable=x.dtype.kind == "f", name="probed_input")
        self.layer, self.owned = layer, keras.tree.map_structure(owned, given)
        self.run = lambda given: layer(**given, training=False)
        self.u = np.random.default_rng(1).normal(size=self(one).shape).astype("float32")
        self.start = self.get_weights()

    def call(self, _):
        outputs = self.run(keras.tree.map_structure(keras.ops.convert_to_tensor, self.owned))
        floats = [y for y in keras.tree.flatten(outputs) if "float" in str(y.dtype)]
        return keras.ops.concatenate([keras.ops.reshape(y, (1, -1)) for y in floats], axis=1)

    def gradients(self, **how):  # each weight's and input's, of the sum of `u` times the outputs
        self.set_weights(self.start)
        loss = lambda u, y: keras.ops.sum(u * y)
        self.compile(keras.optimizers.SGD(1.0), loss, **{"run_eagerly": True, **how})
        self.train_on_batch(one, self.u)
        found = zip(self.weights, self.start, self.get_weights())
        return [(weight, a - b) for weight, a, b in found if weight.trainable]
