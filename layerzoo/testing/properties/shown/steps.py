"""A sequence in parts."""

import numpy as np

from layerzoo.testing.shown import built, inputs, numbers

layer = built()
name, x = next(iter(inputs.items()))
x = np.concatenate([x, x[:, ::-1]] * 4, axis=1)  # more steps
n, half = x.shape[1], x.shape[1] // 2


def start(length=n):
    return layer.get_initial_state(batch_size=len(x), length=length)


def go_on(steps, state, **how):
    return layer(**{**inputs, name: steps}, initial_state=state, return_state=True, **how)


def demand_close(found, expected, what, share=1e-4):
    for y, e in zip(numbers(found), numbers(expected)):
        assert y.shape == e.shape, f"{what}: {y.shape} and {e.shape}"
        y, e = y.astype("float32"), e.astype("float32")
        close = np.abs(y - e).max(initial=0) <= share * max(1, np.abs(e).max(initial=0))
        assert close, f"{what}: {y.ravel()[:4]} and {e.ravel()[:4]}"
