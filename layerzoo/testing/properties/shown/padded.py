"""A layer, masks for its inputs, and what is valid of its outputs."""

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


def masks(kept, given=inputs):  # `kept` says which steps are valid
    mask = lambda x: np.broadcast_to(kept(np.arange(x.shape[1])), x.shape[:2])
    return {n: tree(mask, given[n]) for n in claims}


def as_arguments(masks, dtype="bool"):
    return {name: tree(lambda m: m.astype(dtype), masks[n]) for n in claims for name in names[n]}


def valid(y, kept, length=steps):  # only valid steps, if an output has those of the first input
    stepwise = claims.get(first) != "consumes" and y.ndim > 1 and y.shape[1] == length
    return y[:, kept(np.arange(length))] if stepwise else y
