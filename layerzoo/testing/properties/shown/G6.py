"""Forward and reverse mode agree, <u, J v> = <J' u, v>, on a backend that has both."""

import keras
import numpy as np

from layerzoo.testing.shown import built, inputs

from .probe import Probe, one

probe, rng = Probe(built(), inputs), np.random.default_rng(2)
along = [rng.normal(size=w.shape).astype("float32") * w.trainable for w in probe.weights]


def loss(*values):
    mapping = list(zip(probe.weights, values))
    with keras.StatelessScope(state_mapping=mapping):
        return keras.ops.sum(keras.ops.convert_to_tensor(probe.u) * probe(one))


tensors = lambda arrays: tuple(keras.ops.convert_to_tensor(x) for x in arrays)
derivative = keras.ops.jvp(loss, tensors(probe.start), tensors(along))[1]
forward = float(keras.ops.convert_to_numpy(derivative))
trained = [v for w, v in zip(probe.weights, along) if w.trainable]
backward = sum(np.sum(gradient * v) for (_, gradient), v in zip(probe.gradients(), trained))
close = abs(forward - backward) <= 1e-3 * max(1, abs(backward))
assert close, f"the derivative along a direction is {forward} forwards and {backward} backwards"
