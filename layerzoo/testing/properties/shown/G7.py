"""Autodiff finds the right second derivative, unless the card says that there is none."""

import keras
import numpy as np

from layerzoo.testing.shown import built, claimed, inputs

from .probe import Probe, one

probe, rng = Probe(built(), inputs), np.random.default_rng(2)
directions = [rng.normal(size=x.shape).astype("float32") for x in probe.start]
along = tuple(keras.ops.convert_to_tensor(v) for v in directions)


class Slope(keras.Model):  # its output is the derivative along a direction
    def build(self, shape):
        self.probe = probe

    def call(self, _):
        def loss(*values):
            with keras.StatelessScope(state_mapping=list(zip(probe.weights, values))):
                return keras.ops.sum(keras.ops.convert_to_tensor(probe.u) * probe.call(one))

        found = keras.ops.jvp(loss, tuple(w.value for w in probe.weights), along)[1]
        return keras.ops.reshape(found, (1, 1))


slope = Slope()
slope(one)
slope.compile(keras.optimizers.SGD(1.0), lambda u, y: keras.ops.sum(y), run_eagerly=True)
slope.train_on_batch(one, one)
moves = zip(probe.start, probe.get_weights(), directions)
second = sum(np.sum((before - after) * v) for before, after, v in moves)
values = []
for h in (2**-7, -(2**-7)):
    probe.set_weights([x + h * v for x, v in zip(probe.start, directions)])
    values.append(slope.evaluate(one, one, verbose=0))
numeric = (values[0] - values[1]) / 2**-6
close = abs(second - numeric) <= 1e-2 * max(1, abs(numeric))
assert close == claimed["twice_differentiable"], f"{second} by autodiff, {numeric} by difference"
