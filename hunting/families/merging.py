"""Cards of the layers in `keras.src.layers.merging`."""

import functools

import numpy as np
from keras import layers

from layerzoo.catalogue import Card, Traits

REFERENCES = {
    layers.Add: lambda x: sum(x),
    layers.Average: lambda x: sum(x) / len(x),
    layers.Multiply: lambda x: functools.reduce(np.multiply, x),
    layers.Maximum: lambda x: functools.reduce(np.maximum, x),
    layers.Minimum: lambda x: functools.reduce(np.minimum, x),
    layers.Subtract: lambda x: x[0] - x[1],
}


def _card(layer, merge):
    kinked = layer in (layers.Maximum, layers.Minimum)
    return Card(
        layer=layer,
        inputs=["b t d", "b t u"] if layer is layers.Subtract else ["b t d", "b t u", "b d"],
        dims=lambda pick, config: dict(
            t=4, d=4, u=1
        ),  # where broadcasting along the wrong axis fits
        traits=Traits(
            dynamic="b",
            differentiable="kinked" if kinked else "smooth",
            reference=lambda layer, inputs: merge(_broadcast(list(inputs.values()))),
        ),
    )


def _broadcast(arrays):
    rank = max(a.ndim for a in arrays)
    return [a.reshape(a.shape[0], *[1] * (rank - a.ndim), *a.shape[1:]) for a in arrays]


CARDS = [
    *(_card(layer, merge) for layer, merge in REFERENCES.items()),
    Card(
        layer=layers.Concatenate,
        inputs=["b t d", "b t d"],
        configs=lambda pick: dict(axis=pick([-1, 1, 2])),
        traits=Traits(
            dynamic="b t",
            reference=lambda layer, inputs: np.concatenate(list(inputs.values()), layer.axis),
        ),
    ),
    Card(
        layer=layers.Dot,
        inputs=["b t d", "b s d"],
        configs=lambda pick: dict(axes=pick([2, -1, (2, 2)]), normalize=pick([False, True])),
        traits=Traits(dynamic="b t s"),
        errors=[dict(axes="first"), dict(axes=(1, 2, 3))],
    ),
]
