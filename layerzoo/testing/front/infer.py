"""A first card for a class, found by trying values: run it at once, then edit it."""

import inspect
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np

from layerzoo.catalogue import Card, Tensor, Traits
from layerzoo.tensors import compat
from layerzoo.testing.engine.case import Case
from layerzoo.testing.engine.samples import BUCKETS, Sample
from layerzoo.testing.engine.sources import source
from layerzoo.testing.front import probes
from layerzoo_entry.usage import UsageError

REQUIRED: dict[str, list] = {
    "layer": [keras.layers.Dense(3), keras.layers.SimpleRNN(3)],
    "layers": [[keras.layers.Dense(3), keras.layers.Dense(2)]],
    "cell": [keras.layers.SimpleRNNCell(3)],
    "cells": [[keras.layers.SimpleRNNCell(3), keras.layers.SimpleRNNCell(2)]],
    "equation": ["abc,cd->abd"],
    "output_shape": [(None, 3)],
    "rate": [0.2, 0.5],
    "stddev": [0.3],
    "factor": [0.2],
    "target_shape": [(-1,)],
    "dims": [(2, 1)],
    "function": [keras.ops.tanh],
    "activation": ["tanh"],
}
"""Values for required arguments with these usual names; other names get small integers."""

ALTERNATIVES: dict[str, Any] = {
    "activation": "tanh",
    "initializer": "he_normal",
    "regularizer": "l2",
    "constraint": "non_neg",
    "padding": "same",
    "seed": 3,
}
"""A value other than the default, by the last word of an argument's name."""

STARTS = (
    "kernel_regularizer",
    "bias_regularizer",
    "recurrent_regularizer",
    "initializer",
    "constraint",
    "seed",
)
"""Ends of the names of arguments on which no claim depends that calls could show."""

INPUTS: tuple[Any, ...] = (
    "b t d",
    "b y x c",
    "b z y x c",
    "b d",
    ["b t d", "b t d"],
    Tensor("b t", "int32", high=2),
)
"""Inputs to try, the most likely first."""


@dataclass(frozen=True)
class Draft:
    """What is known about a class after trying it.

    Attributes:
        layer: The class.
        options: Values that each constructor argument accepts, the plain one first.
        inputs: As in a card.
        claims: The traits that a trial can determine.
    """

    layer: type[keras.layers.Layer]
    options: dict[str, list]
    inputs: Any
    claims: dict[str, Any]

    @property
    def sizes(self) -> dict[str, int]:
        """The sizes with which the layer was tried, for every axis but the batch."""
        leaves = keras.tree.flatten(self.inputs)
        letters = {letter for leaf in leaves for letter in getattr(leaf, "axes", leaf).split()}
        return {letter: BUCKETS[0][letter] for letter in sorted(letters - {"b"})}

    @property
    def card(self) -> Card:
        """The draft as a card."""
        return Card(
            layer=self.layer,
            inputs=self.inputs,
            configs=lambda pick: {
                name: compat.made_anew(pick(options)) for name, options in self.options.items()
            },
            dims=lambda pick, config: self.sizes,
            traits=Traits(**self.claims),
        )

    @property
    def source(self) -> str:
        """The draft as a Python file to edit."""
        name, home = self.layer.__name__, self.layer.__module__
        home = "keras.layers" if home.startswith("keras.src.layers") else home
        tensor = ", Tensor" if "Tensor(" in repr(self.inputs) else ""
        picks = "".join(f"            {k}=pick({source(v)}),\n" for k, v in self.options.items())
        dims = f"        dims=lambda pick, config: {self.sizes!r},\n"
        claims = ", ".join(f"{k}={v!r}" for k, v in self.claims.items())
        return (
            f'"""A first card of `{name}`, found by trying: check it, and add what it claims."""\n\n'
            + ("import keras\n" if "keras." in picks else "")
            + f"from {home} import {name}\n\n"
            f"from layerzoo.catalogue import Card{tensor}, Traits\n\n"
            "CARDS = [\n    Card(\n"
            f"        layer={name},\n        inputs={self.inputs!r},\n"
            f"        configs=lambda pick: dict(\n{picks}        ),\n{dims}"
            f"        traits=Traits({claims}),\n    )\n]\n"
        )


def infer(layer: type[keras.layers.Layer]) -> Card:
    """A first card for a class.

    Raises:
        TypeError: it is not a layer class.
        UsageError: no constructor arguments and inputs were found with which the layer runs.
    """
    return draft(layer).card


def draft(layer: type[keras.layers.Layer]) -> Draft:
    """What can be found out about a class by trying.

    Raises:
        TypeError: it is not a layer class.
        UsageError: no constructor arguments and inputs were found with which the layer runs.
    """
    if not (isinstance(layer, type) and issubclass(layer, keras.layers.Layer)):
        raise TypeError(
            f"A card is inferred for a subclass of `keras.layers.Layer`. Received: {layer!r}"
        )
    with compat.undisturbed():
        found = _plain(layer)
        options = dict(found.options)
        together = {name: values[0] for name, values in options.items()}
        for name, parameter in _parameters(layer).items():
            for value in _others(name, parameter.default):
                alone = {**found.options, name: [value]}
                moved = {k: [v] for k, v in {**together, name: value}.items()}
                if all(_error(replace(found, options=each)) is None for each in (alone, moved)):
                    options[name] = [parameter.default, value]
                    together[name] = value
        claims = {**_observed(found, options), **_claims(found), **_moved(found, options)}
        return replace(found, options=options, claims=claims)


def _parameters(layer) -> dict[str, inspect.Parameter]:
    """The constructor's own named arguments."""
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return {
        name: each
        for name, each in compat.own_parameters(layer).items()
        if each.kind in named and name not in ("name", "dtype", "trainable")
    }


def _plain(layer) -> Draft:
    """The first constructor arguments and inputs with which the layer runs."""
    required = [
        name for name, each in _parameters(layer).items() if each.default is inspect.Parameter.empty
    ]
    counts = ("input_dim", "num_tokens", "num_bins", "vocabulary_size")
    whole = [INPUTS[-1], *INPUTS[:-1]] if set(counts) & set(_parameters(layer)) else INPUTS
    errors = []
    for turn, number in enumerate((3, 2, 4, 1)):
        usual = {name: REQUIRED.get(name, [number]) for name in required}
        options = {name: [values[turn % len(values)]] for name, values in usual.items()}
        for inputs in [*_several(layer), *whole]:
            found = Draft(layer, options, inputs, {})
            error = _error(found)
            if error is None:
                return found
            errors.append(
                f"{inputs!r}: {type(error).__name__}: {str(error).strip().split(chr(10))[0]}"
            )
    raise UsageError(
        f"No constructor arguments and inputs were found with which `{layer.__name__}` runs: write its card "
        f"by hand, or check an instance, `check_layer(layer, inputs=...)`. Received: a constructor that "
        f"needs {required or 'nothing'}; attempts such as {'; '.join(errors[:2])}"
    )


def _several(layer) -> list[dict[str, Any]]:
    """Inputs by name if `call` needs more than one, otherwise none."""
    _, *parameters = inspect.signature(layer.call).parameters.values()
    needed = [
        each.name
        for each in parameters
        if each.default is inspect.Parameter.empty
        and each.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
    ]
    if len(needed) < 2:
        return []
    first, *others = needed
    return [
        {first: "b t d", **dict.fromkeys(others, "b s d")},
        {first: "b t d", **dict.fromkeys(others, "b t d")},
        {first: "b d", **{name: ["b c"] for name in others}},
        {first: "b d", **{name: ["b c", "b c"] for name in others}},
    ]


def _others(name: str, default) -> list:
    """Values to try in addition to the default."""
    if default is inspect.Parameter.empty or name == "stateful":  # which wants a known batch size
        return []
    word = name.rsplit("_", 1)[-1]
    if isinstance(default, bool):
        return [not default]
    if word in ALTERNATIVES and (default is None or isinstance(default, str)):
        return [ALTERNATIVES[word]] if ALTERNATIVES[word] != default else []
    if isinstance(default, int):
        return [default + 1]
    if isinstance(default, float):
        return [default / 2] if default else [0.3]
    return []


def _error(found: Draft) -> Exception | None:
    """What the layer raises with the plain arguments, eagerly and symbolically."""
    try:
        case = Case(found.card, Sample())
        layer, arrays = case.make(), case.arrays()
        case.call(layer, arrays, training=True)
        outputs = case.run(layer, arrays)
        compat.call(case.make(), case.symbols())
        if not all(np.isfinite(y).all() for y in outputs if np.issubdtype(y.dtype, np.floating)):
            raise ValueError("the output is not finite")
    except Exception as error:  # any error means that these arguments or inputs do not fit
        return error
    return None


def _claims(found: Draft) -> dict[str, Any]:
    """The claims that a few calls can determine: open axes, randomness, different outputs in training."""
    letters = [
        letter
        for letter in Case(found.card, Sample()).sizes
        if letter == "b" or _runs_open(found, letter)
    ]
    training = _training(found)
    return {"dynamic": " ".join(letters), **({training: True} if training else {})}


def _training(found: Draft) -> str:
    """The trait that training shows: `stochastic`, `train_differs`, or none."""
    case = Case(found.card, Sample())
    layer, arrays = case.built(), case.arrays()
    still = case.run(layer, arrays, training=False)
    outputs = []
    for _ in range(16):
        with compat.kept_state(layer):
            outputs.append(case.run(layer, arrays, training=True))
    first, *others = outputs
    if not all(all(map(np.array_equal, first, other)) for other in others):
        return "stochastic"
    same = all(a.shape == b.shape and np.allclose(a, b) for a, b in zip(first, still, strict=True))
    return "" if same else "train_differs"


@dataclass(frozen=True)
class Moved:
    """A claim that holds if one of some arguments is off its default, as a rate that is 0 by default."""

    defaults: dict[str, Any]

    def __call__(self, config) -> bool:
        """Whether one of them is."""
        return any(config[name] != default for name, default in self.defaults.items())

    def __repr__(self):
        moved = " or ".join(f'config["{k}"] != {v!r}' for k, v in self.defaults.items())
        return f"lambda config: {moved}"


def _moved(found: Draft, options: dict[str, list]) -> dict[str, Moved]:
    """What training shows only if a number or a switch is off its default."""
    if _training(found):
        return {}
    shown: dict[str, dict[str, Any]] = {}
    for name, values in options.items():
        if len(values) == 2 and isinstance(values[0], bool | float):
            trait = _training(replace(found, options={**found.options, name: values[1:]}))
            if trait:
                shown.setdefault(trait, {})[name] = values[0]
    return {trait: Moved(defaults) for trait, defaults in shown.items()}


def _observed(found: Draft, options: dict[str, list]) -> dict[str, Any]:
    """The claims that calls suggest, with the plain arguments and with each argument moved alone."""
    moved = {
        name: (
            values[1],
            probes.observed(replace(found, options={**found.options, name: values[1:]}).card),
        )
        for name, values in options.items()
        if len(values) > 1 and not name.endswith(STARTS)
    }
    return probes.together(probes.observed(found.card), moved)


def _runs_open(found: Draft, letter: str) -> bool:
    """Whether the layer, built with an unknown size of an axis, runs at two sizes of it."""
    wide = replace(found, claims={"dynamic": f"b {letter}"})
    try:
        case = Case(wide.card, Sample())
        layer = case.make()
        compat.call(layer, case.symbols(**{letter: None}))
        case.call(layer, case.arrays())
        longer: Any = {letter: case.longer()[letter]}
        case.call(layer, case.arrays(**longer))
    except Exception:  # the size of the axis is fixed
        return False
    return True
