"""A built layer with inputs for it, alone or in a model; each prints as the Python that makes it again."""

import functools
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from layerzoo.catalogue import catalogue
from layerzoo.tensors import compat
from layerzoo.testing.engine.case import Case, move_weights
from layerzoo.testing.engine.programs import drawn_source


@dataclass(frozen=True)
class Built:
    """A layer that was called once and whose weights were then moved off their start, and inputs for it.

    Attributes:
        make: Makes the layer.
        inputs: The arguments of a call by name, as NumPy arrays.
        seed: The seed of the weights.
        case: The case from which it was drawn.
    """

    make: Callable[[], keras.layers.Layer]
    inputs: dict[str, Any]
    seed: int = 0
    case: Case | None = field(default=None, compare=False)

    def __repr__(self):
        if self.case is None:
            return f"Built({self.make}, {self.inputs}, {self.seed})"
        made = f"{self.case.card.layer.__qualname__}({self.case.written})"
        return f"Built(lambda: {made}, {drawn_source(self.case)}, {self.seed})"

    def _repr_pretty_(self, printer, cycle):
        printer.text(repr(self))  # Hypothesis would print the fields

    @functools.cached_property
    def layer(self) -> keras.layers.Layer:
        """The layer.

        Raises:
            ValueError: the constructor does not accept the arguments that the card gives.
        """
        random.seed(self.seed)  # Keras draws missing seeds from here
        try:
            layer = self.make()
        except Exception as error:  # a constructor can raise anything
            if self.case is None:
                raise
            raise ValueError(
                f"The card of `{self.case.card.name}` must give arguments that the constructor accepts. "
                f"Received: {self.case.written}, which raised {type(error).__name__}: {error}"
            ) from error
        compat.call(layer, compat.handed(layer, self.inputs), training=False)
        move_weights(layer, self.seed)
        return layer

    def call(self, inputs: dict[str, Any] | None = None, **arguments) -> list[np.ndarray]:
        """The outputs as a flat list, for its own inputs and at inference unless others are given."""
        given = compat.handed(self.layer, self.inputs if inputs is None else inputs)
        return compat.flat(compat.call(self.layer, given, **{"training": False, **arguments}))


PLACES = ("Sequential", "Functional", "two branches", "Residual", "TimeDistributed")


@dataclass(frozen=True)
class Placed:
    """A built layer in a model or wrapper.

    Attributes:
        where: One of `PLACES`.
        built: The layer, and inputs for it alone.
    """

    where: str
    built: Built

    @functools.cached_property
    def model(self) -> keras.layers.Layer:
        """The model or wrapper around the layer."""
        layer, case = self.built.layer, self.built.case
        if self.where == "Residual":
            return catalogue()["Residual"].layer(layer)
        if self.where == "TimeDistributed":
            return keras.layers.TimeDistributed(layer)
        known = case is not None and "b" not in case.traits.dynamic.split()
        symbols = keras.tree.map_structure(
            lambda x: keras.Input(x.shape[1:], len(x) if known else None, dtype=str(x.dtype)),
            self.built.inputs,
        )
        if self.where == "Sequential":
            return keras.Sequential([*symbols.values(), layer])
        times = 2 if self.where == "two branches" else 1
        outputs = [compat.call(layer, symbols) for _ in range(times)]
        return keras.Model(keras.tree.flatten(symbols), outputs)

    @property
    def inputs(self) -> Any:
        """What the model takes; `TimeDistributed` takes the batch, and the batch in reverse order."""
        found = keras.tree.flatten(self.built.inputs)
        if self.where == "TimeDistributed":
            return np.stack([found[0], found[0][::-1]], axis=1)
        return found if self.where in ("Functional", "two branches") else found[0]

    def call(self) -> list[np.ndarray]:
        """The outputs of the model as a flat list."""
        return compat.flat(self.model(self.inputs, training=False))

    def due(self) -> list[np.ndarray]:
        """What these outputs must equal: those of the layer alone, in the form that the model gives them."""
        alone = self.built.call()
        if self.where == "two branches":
            return alone * 2
        if self.where == "Residual":
            return [alone[0] + self.inputs]
        if self.where == "TimeDistributed":
            (name,) = self.built.inputs
            return [np.stack([alone[0], self.built.call({name: self.inputs[:, 1]})[0]], axis=1)]
        return alone


def built(case: Case, layer: keras.layers.Layer | None = None) -> Built:
    """The layer of a case, or one that was built earlier, and the inputs of the case."""
    found = Built(case.make, compat.packed(case.arrays()), case.sample.seed, case)
    if layer is not None:
        vars(found)["layer"] = layer
    return found


def fitting_places(built: Built) -> list[str]:
    """The places into which a drawn layer fits.

    A Sequential model and the wrappers take one tensor. In `Residual` the output has the shape of the input,
    and in `TimeDistributed` it is one tensor.
    """
    case = built.case
    if case is None or not case.sequential:
        return ["Functional", "two branches"]
    found = ["Sequential", "Functional", "two branches"]
    shape, described = case.shapes()[case.first], case.tensors[case.first]
    outputs = keras.tree.flatten(compat.call(built.layer, case.symbols()))
    if len(outputs) == 1 and tuple(outputs[0].shape) == shape and described.floating:
        found.append("Residual")
    if len(outputs) == 1 and len(shape) > 1 and case.traits.couples_batch != "always":
        found.append("TimeDistributed")
    return found
