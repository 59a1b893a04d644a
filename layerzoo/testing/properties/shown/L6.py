"""Bad arguments raise ValueError or TypeError; inputs that do not fit are refused before any change."""

import contextlib

import numpy as np

from layerzoo.testing.shown import built, inputs, make, refused

layer, new, outcome = built(), make(), None
for config in refused:
    try:
        taken = type(layer)(**config)
    except (ValueError, TypeError):
        continue
    raise AssertionError(f"{config} is accepted and gives {taken}")


def widened(x):  # one more entry in the last axis of the first tensor
    if isinstance(x, dict):
        first, *_ = x
        return {**x, first: widened(x[first])}
    if isinstance(x, list):
        return [widened(x[0]), *x[1:]]
    return np.concatenate([x, x[..., :1]], axis=-1)


def weights(layer):
    return [tuple(w.shape) for w in layer.weights]


wrong = widened(inputs)
with contextlib.suppress(Exception):  # that the layer refuses them is right
    new(**wrong)
    if weights(new) != weights(layer):  # the last axis decides about some weights
        outcome = layer(**wrong)
assert outcome is None, f"built for {weights(layer)}, but one more entry is accepted: {outcome}"
