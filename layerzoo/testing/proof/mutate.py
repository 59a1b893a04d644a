"""Mutants of the user's own layer: if one passes its checks, the card is too weak.

Each mutant is the layer with one defect injected, and names the properties that must detect it. If one
survives, its advice says what the card should claim or vary.
"""

import contextlib
import functools
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import keras
from keras import ops

from layerzoo.catalogue import Card
from layerzoo.tensors import compat
from layerzoo.testing.engine.case import Case
from layerzoo.testing.engine.register import PROPERTIES
from layerzoo.testing.engine.run import check_property
from layerzoo.testing.engine.samples import Sample

PACKAGE = "layerzoo.mutants"


@dataclass(frozen=True)
class Mutant:
    """A layer with an injected defect.

    Attributes:
        defect: The defect, as text.
        layer: The mutated class.
        seen_by: Property ids; at least one of these must fail.
        advice: How to improve the card if none fails.
    """

    defect: str
    layer: type[keras.layers.Layer]
    seen_by: tuple[str, ...]
    advice: str


@dataclass(frozen=True)
class Verdict:
    """Whether a mutant was detected.

    Attributes:
        mutant: The mutant.
        killer: The id of the property that detected it, or an empty string if it survived.
    """

    mutant: Mutant
    killer: str


def check_mutants(card: Card, profile: str | None = None) -> list[Verdict]:
    """Inject one defect after another into a card's layer, and record which property detects it."""
    verdicts = []
    for mutant in mutants(card):
        with _registered(mutant.layer):
            changed = replace(card, layer=mutant.layer, expected_failures={})
            killers = (
                id
                for id in mutant.seen_by
                if check_property(changed, PROPERTIES[id], profile, simplify=False).status
                == "failed"
            )
            verdicts.append(Verdict(mutant, next(killers, "")))
    return verdicts


def mutants(card: Card) -> list[Mutant]:
    """Every mutant that the card's claims forbid."""
    case = Case(card, Sample())
    cls, traits = card.layer, case.traits
    outputs = case.call(layer := case.make(), case.arrays())
    floating = any("float" in str(y.dtype) for y in keras.tree.flatten(outputs))
    smooth = floating and case.floats and traits.differentiable != "none" and not traits.surrogate

    found = [
        Mutant(
            f"`{name}` is missing from the config",
            _without(cls, name),
            ("C1",),
            f"let a pick in `configs` set `{name}` to something other than its default",
        )
        for name in case.make().get_config()
        if name in inspect.signature(cls.__init__).parameters
        and name not in ("name", "dtype", "trainable")
    ]
    found += [
        Mutant("`trainable` is missing from the config", _without(cls, "trainable"), ("C6",), KIT),
        Mutant("`from_config` empties the caller's dict", _greedy(cls), ("C1",), KIT),
        Mutant("a variable is kept where Keras does not look", _hiding(cls), ("B3",), KIT),
    ]
    if floating:
        found += [
            Mutant("the output is always float32", _after(cls, _float32), ("N1", "S3"), KIT),
            Mutant("unseeded noise is added at inference", _after(cls, _noisy), ("R1",), KIT),
        ]
    if floating and (layer.trainable_weights or compat.BACKEND != "torch"):
        # PyTorch has no traced tensors. A kept output would keep the graph, which starts at a weight.
        found += [Mutant("a call keeps its output on the layer", _keeping(cls), ("X3",), KIT)]
    if floating and traits.couples_batch is None and "b" in traits.dynamic.split():
        found += [
            Mutant("a thousandth of the batch's sum is added", _after(cls, _coupled), ("I1",), KIT)
        ]
    if smooth:
        found += [
            Mutant("half of the gradient is stopped", _after(cls, _half), ("G1",), KIT),
            Mutant("the gradient is a tenth too large", _after(cls, _steep), ("G1",), KIT),
            Mutant("the gradient is not finite at zero", _at_zero(cls), ("G3",), KIT),
        ]
    if floating and traits.causal:
        advice = "let the card's `t` be large enough that there is a next step"
        found += [Mutant("a tenth of the next step is added", _after(cls, _ahead), ("I2",), advice)]
    if traits.masking == "propagates":
        found += [Mutant("the mask is not passed on", _dropping_mask(cls), ("M2",), KIT)]
    overridden = "compute_output_shape", "compute_output_spec"
    if any(getattr(cls, each) is not getattr(keras.layers.Layer, each) for each in overridden):
        found += [Mutant("the output loses an entry", _after(cls, _short), ("S1",), KIT)]
    return found


KIT = "report this to the authors of the kit: a property should have detected it"


def _named(cls, mutant):
    mutant.__name__ = mutant.__qualname__ = f"Mutated{cls.__name__}"
    mutant.__module__ = cls.__module__
    return mutant


def _after(cls: Any, change: Callable):
    """The class with a change to the first float output of every call."""

    class Mutant(cls):
        @functools.wraps(cls.call)
        def call(self, *args, **kwargs):
            leaves = keras.tree.flatten(outputs := super().call(*args, **kwargs))
            place = next(i for i, y in enumerate(leaves) if "float" in str(y.dtype))
            leaves[place] = change(leaves[place])
            return keras.tree.pack_sequence_as(outputs, leaves)

    return _named(cls, Mutant)


def _float32(y):
    return ops.cast(y, "float32")


def _noisy(y):
    return y + ops.cast(keras.random.normal(ops.shape(y)), y.dtype)


def _coupled(y):
    return y + 1e-3 * ops.sum(y, axis=0, keepdims=True)


def _half(y):
    return 0.5 * y + 0.5 * ops.stop_gradient(y)


def _steep(y):
    return y + 0.1 * (y - ops.stop_gradient(y))


def _ahead(y):
    return y + 0.1 * ops.concatenate([y[:, 1:], y[:, -1:]], axis=1)


def _short(y):
    return y[..., :-1]


def _at_zero(cls: Any):
    class Mutant(cls):
        @functools.wraps(cls.call)
        def call(self, *args, **kwargs):
            given = [x for x in keras.tree.flatten((args, kwargs)) if "float" in str(_dtype(x))]
            outputs = super().call(*args, **kwargs)
            size = ops.sqrt(ops.sum(ops.square(given[0])))  # its derivative at zero is 0/0
            return keras.tree.map_structure(
                lambda y: (
                    y + ops.cast(size - ops.stop_gradient(size), y.dtype)
                    if "float" in str(y.dtype)
                    else y
                ),
                outputs,
            )

    return _named(cls, Mutant)


def _dtype(x):
    return getattr(x, "dtype", "")


def _keeping(cls: Any):
    class Mutant(cls):
        @functools.wraps(cls.call)
        def call(self, *args, **kwargs):
            self.kept_output = super().call(*args, **kwargs)
            return self.kept_output

    return _named(cls, Mutant)


def _hiding(cls: Any):
    class Mutant(cls):
        @functools.wraps(cls.build)
        def build(self, *args, **kwargs):
            super().build(*args, **kwargs)
            variable = keras.Variable([1.0])
            object.__setattr__(self, "hidden", lambda: variable)

    return _named(cls, Mutant)


def _dropping_mask(cls: Any):
    class Mutant(cls):
        @functools.wraps(cls.compute_mask)
        def compute_mask(self, *args, **kwargs):
            return None

    return _named(cls, Mutant)


def _without(cls: Any, name):
    class Mutant(cls):
        def get_config(self):
            config = super().get_config()
            config.pop(name, None)
            return config

    return _named(cls, Mutant)


def _greedy(cls: Any):
    class Mutant(cls):
        @classmethod
        def from_config(cls, config):
            made = super().from_config(dict(config))
            config.clear()
            return made

    return _named(cls, Mutant)


@contextlib.contextmanager
def _registered(layer) -> Iterator[None]:
    """Register the class with Keras while it is checked, so that saved files load."""
    name = f"{PACKAGE}>{layer.__name__}"
    keras.saving.register_keras_serializable(package=PACKAGE)(layer)
    try:
        yield
    finally:
        keras.saving.get_custom_objects().pop(name, None)
