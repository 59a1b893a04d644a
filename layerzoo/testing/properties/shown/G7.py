"""Autodiff finds the right second derivative, unless the card says that there is none."""

import keras
import numpy as np

from layerzoo.testing.shown import claimed

from .probe import one, probe, start, u

rng = np.random.default_rng(2)
along = [keras.ops.convert_to_tensor(rng.normal(size=x.shape).astype("float32")) for x in start]


class Slope(keras.Model):  # its output is the derivative along a direction
    def build(self, shape):
        self.probe = probe

    def call(self, _):
        def loss(*values):
            with keras.StatelessScope(state_mapping=list(zip(probe.weights, values))):
                return keras.ops.sum(keras.ops.convert_to_tensor(u) * probe.call(one))

        found = keras.ops.jvp(loss, tuple(w.value for w in probe.weights), tuple(along))[1]
        return keras.ops.reshape(found, (1, 1))


slope = Slope()
slope(one)
slope.compile(keras.optimizers.SGD(1.0), lambda u, y: keras.ops.sum(y), run_eagerly=True)
slope.train_on_batch(one, one)
second = sum(
    np.sum((a - b) * keras.ops.convert_to_numpy(v))
    for a, b, v in zip(start, probe.get_weights(), along)
)
values = []
for h in (2**-7, -(2**-7)):
    probe.set_weights([x + h * keras.ops.convert_to_numpy(v) for x, v in zip(start, along)])
    values.append(slope.evaluate(one, one, verbose=0))
numeric = (values[0] - values[1]) / 2**-6
close = abs(second - numeric) <= 1e-2 * max(1, abs(numeric))
assert close == claimed["twice_differentiable"], f"{second} by autodiff, {numeric} by difference"
