"""What a program that shows a property may use; each name is defined before the program if it uses it.

The program of a property is the file `shown/<id>.py` beside the property's module. On a layer that breaks the
property it raises, or ends in an `assert` that fails. What it imports from a file beside it is put before it.
A failure prints the program together with all that it needs: keras, numpy and the layer.
"""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

make: Callable[..., keras.layers.Layer]
"""`make(**settings)` returns a new layer; `settings` replace some of the constructor's arguments."""

neighbour: Callable[[], keras.layers.Layer]
"""`neighbour()` returns a layer with another config that has been called."""

inputs: dict[str, Any]
"""The arguments of the call, as in `layer(**inputs)`."""

unknown: list[tuple[dict[str, Any], dict[str, Any]]]
"""Pairs of symbolic inputs with unknown sizes, and inputs with other sizes."""

shapes: list[Any]
"""The arguments of `layer.build(*shapes)`, or of `compute_output_shape` if the program calls it."""

refused: list[dict[str, Any]]
"""The configs that the constructor must refuse."""

arguments: dict[str, Any]
"""The constructor's arguments."""

argument_kinds: dict[str, str]
"""The kind of each argument that takes a name, a dict or an object from Keras, such as `activation`."""

claimed: dict[str, Any]
"""What the card claims, as in `claimed["reach"]`. There is no program if a claim cannot be imported."""

seed: int
"""The seed of the sample."""


def built(**settings: Any) -> keras.layers.Layer:
    """Return a new layer whose weights are moved off their initial values."""
    layer = make(**settings)
    layer(**inputs)
    rng = np.random.default_rng([seed, 977])
    for weight in layer.weights:
        if "float" in weight.dtype:
            step = rng.normal(size=weight.shape, scale=0.3)
            weight.assign(weight + (step if weight.trainable else np.abs(step)))
    return layer


def resting(layer: Any) -> keras.layers.Layer:
    """Return the layer, which then calls from the same state each time."""
    call, state = layer.call, layer.non_trainable_variables
    kept = [(v, keras.ops.copy(v.value)) for v in state]

    def from_the_same_state(*args, **kwargs):
        for v, value in kept:
            v.assign(value)
        return call(*args, **kwargs)

    layer.call = from_the_same_state
    return layer


def numbers(outputs: Any) -> list[np.ndarray]:
    """Return all outputs as a flat list of NumPy arrays."""
    return [keras.ops.convert_to_numpy(y) for y in keras.tree.flatten(outputs)]
