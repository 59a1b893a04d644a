"""What there is: one card a layer, found through the entry-point group `layerzoo.cards`."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Literal, TypeVar

import keras

GROUP = "layerzoo.cards"

T = TypeVar("T")
Config = dict[str, Any]
Pick = Callable[[Sequence[T]], T]
"""Given some options, gives one of them. Hypothesis picks in the kit, the first is picked on a page."""


@dataclass(frozen=True)
class Traits:
    """What a layer claims beyond the properties that every layer must have.

    A claim holds in both directions: what is declared true must hold, what is declared false must be
    refuted by some sample, and None is not tested and is listed as undeclared. Each claim is a value, or
    a function that gives the value for a config.

    Attributes:
        masking: `"propagates"`: padding changes no valid output and the mask is passed on.
            `"consumes"`: padding changes no output at all and no mask is left.
            `"passes"`: the mask is passed on, and what padding does is up to a wrapped layer.
        dynamic: Axis letters whose size may be unknown, as in `"b t"`.
        causal: No output depends on a later step. The axis is `t`.
        stochastic: Training draws random numbers that change the outputs.
        train_differs: Training computes something else than inference, without drawing anything.
        couples_batch: The samples of a batch influence each other: `"training"`, `"always"` or None.
        differentiable: `"smooth"`, or `"kinked"` where a point without derivative can be met.
        dead: Patterns of weight paths whose gradient is zero by theory; they must stay dead.
    """

    masking: Any = None
    dynamic: str = "b"
    causal: Any = None
    stochastic: Any = False
    train_differs: Any = False
    couples_batch: Literal["training", "always"] | None = None
    differentiable: Literal["smooth", "kinked"] = "smooth"
    dead: Any = ()

    def under(self, config: Config) -> "Traits":
        """The same claims with every function replaced by its value for this config."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return Traits(**{k: v(config) if callable(v) else v for k, v in values.items()})


def no_dims(pick: Pick, config: Config) -> dict[str, int]:
    """The `dims` of a card whose axis sizes are free."""
    return {}


@dataclass(frozen=True)
class Card:
    """What the catalogue, the kit, the command line and the pages must know of a layer.

    Attributes:
        layer: The class.
        inputs: Axis letters, as in `"b t d"`, or a dict of them for several inputs, by the names of
            `call`'s arguments.
        configs: Given `pick`, the constructor arguments. The first option of every pick makes the plain
            layer; together the options move every argument off its default.
        dims: Given `pick` and the config, sizes of axis letters that the config fixes.
        traits: What the layer claims.
        errors: Configs that the constructor must refuse.
        expected_failures: Reasons by the id of a property that does not hold, as in `{"X1@torch": "..."}`;
            it must go on failing.
        paper: arXiv id or address.
        year: Year of the paper.
        tags: Words to find it by.
    """

    layer: type[keras.layers.Layer]
    inputs: str | Mapping[str, str]
    configs: Callable[[Pick], Config] = lambda pick: {}
    dims: Callable[[Pick, Config], dict[str, int]] = no_dims
    traits: Traits = field(default_factory=Traits)
    errors: Sequence[Config] = ()
    expected_failures: Mapping[str, str] = field(default_factory=dict)
    paper: str = ""
    year: int | None = None
    tags: Sequence[str] = ()

    def __post_init__(self):
        if not (isinstance(self.layer, type) and issubclass(self.layer, keras.layers.Layer)):
            raise TypeError(
                "A card's `layer` must be a subclass of `keras.layers.Layer`. "
                f"Received: layer={self.layer!r}"
            )
        letters = {letter for axes in self.axes.values() for letter in axes}
        unknown = set(self.traits.dynamic.split()) - letters
        if unknown:
            raise ValueError(
                f"The card of `{self.name}` may name in `dynamic` only letters of its inputs. "
                f"Received: dynamic={self.traits.dynamic!r}, inputs={self.inputs!r}"
            )

    @property
    def name(self) -> str:
        """The name of the class."""
        return self.layer.__name__

    @property
    def family(self) -> str:
        """The folder that the layer lives in: `attention`, `residual`, `gated`, or a plug-in's name."""
        package, *folders = self.layer.__module__.split(".")
        return folders[0] if package == "layerzoo" and folders else package

    @property
    def axes(self) -> dict[str, list[str]]:
        """The axis letters of each input, by the names of `call`'s arguments."""
        if isinstance(self.inputs, str):
            return {"inputs": self.inputs.split()}
        return {name: letters.split() for name, letters in self.inputs.items()}

    @property
    def summary(self) -> str:
        """The first line of the layer's docstring."""
        return (self.layer.__doc__ or "").strip().split("\n")[0]


@cache
def _installed() -> tuple[dict[str, Card], tuple[str, ...]]:
    return load(entry_points(group=GROUP))


def load(points: Sequence[EntryPoint]) -> tuple[dict[str, Card], tuple[str, ...]]:
    """The cards behind some entry points by name, and a line for each that gave trouble."""
    cards: dict[str, Card] = {}
    problems = []
    ours_first = sorted(points, key=lambda point: not point.value.startswith("layerzoo."))
    for point in ours_first:
        try:
            found = list(point.load())
        except Exception as error:  # a plug-in may raise anything, and must break nobody else
            problems.append(
                f"The plug-in {point.name!r} ({point.value}) could not be loaded: "
                f"{type(error).__name__}: {error}"
            )
            continue
        for card in found:
            if not isinstance(card, Card):
                problems.append(f"The plug-in {point.name!r} gave {card!r}, which is no Card.")
            elif card.name in cards:
                problems.append(
                    f"The plug-in {point.name!r} names a layer {card.name!r}, which there is already; "
                    "the first stays."
                )
            else:
                cards[card.name] = card
    return cards, tuple(problems)


def catalogue() -> dict[str, Card]:
    """Every installed card by the name of its layer, ours and the plug-ins'.

    A plug-in that cannot be loaded is reported in a warning and left out.
    """
    cards, problems = _installed()
    for problem in problems:
        warnings.warn(problem, RuntimeWarning, stacklevel=2)
    return dict(sorted(cards.items()))


def find(pattern: str) -> list[Card]:
    """The cards whose name, family or tag matches a shell pattern, as in `find("gated*")`."""
    pattern = pattern.lower()
    return [
        card
        for card in catalogue().values()
        if any(fnmatchcase(word.lower(), pattern) for word in (card.name, card.family, *card.tags))
    ]
