"""Forward and reverse mode agree, <u, J v> = <J' u, v>, on a backend that has both."""

import keras
import numpy as np

from .probe import gradients, one, probe, start, u

rng = np.random.default_rng(2)
along = [rng.normal(size=w.shape).astype("float32") * w.trainable for w in probe.weights]


def loss(*values):
    mapping = list(zip(probe.weights, values))
    with keras.StatelessScope(state_mapping=mapping):
        return keras.ops.sum(keras.ops.convert_to_tensor(u) * probe(one))


tensors = lambda arrays: tuple(keras.ops.convert_to_tensor(x) for x in arrays)
forward = float(keras.ops.convert_to_numpy(keras.ops.jvp(loss, tensors(start), tensors(along))[1]))
names = {w.path: v for w, v in zip(probe.weights, along)}
backward = sum(np.sum(gradient * names[w.path]) for w, gradient in gradients())
close = abs(forward - backward) <= 1e-3 * max(1, abs(backward))
assert close, f"the derivative along a direction is {forward} forwards and {backward} backwards"
