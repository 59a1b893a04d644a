"""A layer, a sequence, and how the layer goes on with it from a state."""

import numpy as np

from layerzoo.testing.shown import built, inputs

layer = built()
name, x = next(iter(inputs.items()))
x = np.concatenate([x, x[:, ::-1]] * 4, axis=1)  # more steps
n, half = x.shape[1], x.shape[1] // 2


def start(length=n, x=x, layer=layer):
    return layer.get_initial_state(batch_size=len(x), length=length)


def go_on(steps, state, given=inputs, layer=layer, **how):
    return layer(**{**given, name: steps}, initial_state=state, return_state=True, **how)
