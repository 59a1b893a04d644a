"""Outputs and gradients are finite for zeros, for equal values, for ties, and if every step is masked."""

import keras
import numpy as np

from layerzoo.testing.shown import built

drawn = inputs
for kind, special in (("zeros", np.zeros_like), ("ones", np.ones_like), ("ties", np.round)):
    inputs = keras.tree.map_structure(lambda x: special(x) if x.dtype.kind == "f" else x, drawn)

    def run(layer, given):
        return layer(**given, training=False)

    class Probe(keras.Model):  # it owns its inputs, so that a step of SGD shows their gradients too
        def build(self, shape):
            owned = lambda x: keras.Variable(x, trainable=x.dtype.kind == "f", name="input")
            self.layer, self.owned = built(), keras.tree.map_structure(owned, inputs)

        def call(self, _):
            outputs = run(
                self.layer, keras.tree.map_structure(keras.ops.convert_to_tensor, self.owned)
            )
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
        return [
            (w, a - b) for w, a, b in zip(probe.weights, start, probe.get_weights()) if w.trainable
        ]

    for weight, gradient in gradients():
        finite = np.isfinite(gradient).all()
        assert finite, f"inputs all {kind}: the gradient of {weight.path} is {gradient}"
