"""Masks for a layer, and what is valid of its outputs."""

import inspect

import keras
import numpy as np

from layerzoo.testing.shown import built, claimed, inputs

layer, first, claims = built(), next(iter(inputs)), claimed["masking"]
claims = claims if isinstance(claims, dict) else {first: claims}
taken = set(inspect.signature(layer.call).parameters)
names = {
    n: ({f"{n}_mask"} & taken or {"mask"} & taken & {"mask" if n == first else ""}) for n in claims
}
tree = keras.tree.map_structure
steps = keras.tree.flatten(inputs[first])[0].shape[1]


def masks(kept):  # `kept` says which steps are valid
    mask = lambda x: np.broadcast_to(kept(np.arange(x.shape[1])), x.shape[:2])
    return {n: tree(mask, inputs[n]) for n in claims}


def arguments(masks, dtype="bool"):
    return {name: tree(lambda m: m.astype(dtype), masks[n]) for n in claims for name in names[n]}


def valid(y, kept):  # if an output has the steps of the first input, only the valid ones
    stepwise = claims.get(first) != "consumes" and y.ndim > 1 and y.shape[1] == steps
    return y[:, kept(np.arange(steps))] if stepwise else y
