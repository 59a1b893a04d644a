"""Hypothesis strategies for a card: configs, sizes, inputs, masks, built layers, and models around them.

Each strategy takes a card, yours or one of the catalogue. For an instance, `card_of(layer, inputs)` makes a
card. The strategies compose with `@given`, `@example` and `st.data()`. A failing example shrinks to the plain
config, the smallest sizes, and zeros. What is drawn prints as the Python that makes it again.
"""

import contextlib
import itertools
import math
import random
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import HealthCheck, Phase, event, given, settings
from hypothesis import strategies as st

from layerzoo.catalogue import Card, Config, Tensor, Traits
from layerzoo.tensors import compat
from layerzoo.testing.engine.cards import fault, home
from layerzoo.testing.engine.case import Case
from layerzoo.testing.engine.case import draw as values
from layerzoo.testing.engine.placed import PLACES, Built, Placed, built, fitting_places
from layerzoo.testing.engine.samples import BUCKETS, KINDS, VALUES, Replay, Sample, options
from layerzoo.testing.engine.sources import source

LARGEST = 41
"""The largest size of an axis."""

ROOM = 20_000
"""The number of entries that an input has at most, if its fixed sizes and sizes of 3 allow it."""

WEIGHTS = {1: 16, 2: 3, 3: 3, 7: 2, 8: 4, 9: 4, 15: 2, 16: 5, 17: 5, 31: 2, 32: 4, 33: 4}
"""How often a size is drawn, if not once: 1 is special, and code in blocks goes wrong around their edges."""

SIZES = [n for n in range(1, LARGEST + 1) for _ in range(WEIGHTS.get(n, 1))]
BATCHES = [1, 1, 1, *range(1, 10)]


class Arguments(dict[str, Any]):
    """A drawn config. It prints as the call of `dict` that makes it again."""

    def __repr__(self):
        return f"dict({', '.join(f'{name}={source(value)}' for name, value in self.items())})"


@st.composite
def configs(draw: st.DrawFn, card: Card) -> Config:
    """The constructor arguments that the card's picks can make; the simplest are the plain ones.

    Args:
        draw: Supplied by Hypothesis.
        card: The card.
    """
    taken = draw(_choices(_usable(card)))
    with _own_random():
        return Arguments(card.configs(Replay(taken)))


@st.composite
def sizes(
    draw: st.DrawFn, card: Card, config: Config | None = None, *, empty: bool = False
) -> dict[str, int]:
    """The size of each axis letter of the inputs, from 1 to about 40.

    Sizes of 1, equal sizes, and sizes around 8, 16 and 32 are more frequent. A letter keeps the size that the
    card's `dims` gives, unless the trait `dynamic` names it too. Then it is drawn from that size upwards.

    Args:
        draw: Supplied by Hypothesis.
        card: The card.
        config: The constructor arguments. Default: the plain ones.
        empty: Whether the batch may also be empty, if the card claims `zero_batch`.
    """
    config = _plain(card) if config is None else config
    dims = card.dims(lambda options: draw(st.sampled_from(list(options))), config)
    return draw(_sizes(card.tensors(config).values(), dims, card.traits.under(config), empty))


@st.composite
def arrays(
    draw: st.DrawFn, tensor: Tensor | str, shape: Sequence[int], kinds: Iterable[str] = KINDS
) -> np.ndarray:
    """Values for one input tensor, of one of the kinds. The simplest are zeros.

    Args:
        draw: Supplied by Hypothesis.
        tensor: A tensor of a card, or the axis letters of a float input.
        shape: Its shape.
        kinds: The kinds of values, from `KINDS`. Floats with `low` and `high` are uniform between them.
    """
    kind = draw(st.sampled_from(_some_of(KINDS, kinds)))
    generator = np.random.default_rng(draw(st.integers(0, 2**16)))
    described = Tensor(tensor) if isinstance(tensor, str) else tensor
    return values(generator, kind, tuple(shape), described)


@st.composite
def inputs(
    draw: st.DrawFn,
    card: Card,
    config: Config | None = None,
    sizes: dict[str, int] | None = None,
    kinds: Iterable[str] = KINDS,
) -> dict[str, Any]:
    """The arguments of a call by name, in lists and dicts if the card has them there.

    Args:
        draw: Supplied by Hypothesis.
        card: The card.
        config: The constructor arguments. Default: the plain ones.
        sizes: The size of each axis letter. Default: drawn.
        kinds: As for `arrays`.
    """
    config = _plain(card) if config is None else config
    sizes = draw(_any_sizes(card, config)) if sizes is None else sizes
    tensors = card.tensors(config)
    missing = {letter for each in tensors.values() for letter in each.letters} - set(sizes)
    if missing:
        raise ValueError(
            f"`sizes` must have every axis letter of the inputs of `{card.name}`. "
            f"Received: sizes={sizes!r}, without {sorted(missing)}"
        )
    return compat.packed(
        {
            path: draw(arrays(each, [sizes[letter] for letter in each.letters], kinds))
            for path, each in tensors.items()
        }
    )


_any_sizes = sizes

MASKS = ("none", "full", "right", "left", "inside", "ragged", "all masked")


@st.composite
def masks(
    draw: st.DrawFn, batch: int, steps: int, kinds: Iterable[str] = MASKS
) -> np.ndarray | None:
    """None, or a mask of shape `(batch, steps)` that is true where a step is valid.

    Args:
        draw: Supplied by Hypothesis.
        batch: The batch size.
        steps: The number of steps.
        kinds: Which masks: `"none"` at all, `"full"` of valid steps, padding on the `"right"`, on the
            `"left"` or `"inside"`, another length for each sample (`"ragged"`), or `"all masked"`.
    """
    kind = draw(st.sampled_from(_some_of(MASKS, kinds)))
    place = np.arange(steps)
    if kind == "none":
        return None
    if kind == "ragged":
        lengths = draw(st.lists(st.integers(0, steps), min_size=batch, max_size=batch))
        return place < np.array(lengths)[:, None]
    valid = np.full(steps, kind == "full")
    if kind in ("right", "left", "inside") and steps:
        padded = draw(st.integers(min(1, steps - 1), steps - 1))  # at least one step stays
        first = {"left": 0, "inside": (steps - padded) // 2, "right": steps - padded}[kind]
        valid = (place < first) | (place >= first + padded)
    return np.tile(valid, (batch, 1))


def policies() -> st.SearchStrategy[str]:
    """The name of a dtype policy; the simplest is `"float32"`."""
    return st.sampled_from(("float32", "mixed_float16", "mixed_bfloat16", "bfloat16", "float16"))


@st.composite
def samples(
    draw: st.DrawFn,
    card: Card,
    kinds: Iterable[str] = KINDS,
    empty: bool = False,
    choices: st.SearchStrategy[tuple[int, ...]] | None = None,
    free: bool = True,
) -> Sample:
    """Samples of a card; the arguments are those of `cases`. If not `free`, sizes come from the buckets."""
    taken = draw(_choices(card) if choices is None else choices)
    case = Case(card, Sample(taken))
    with _own_random():
        described, dims, traits, fixed = case.tensors.values(), case.dims, case.traits, case.fixed
    event("options moved", sum(map(bool, taken)))
    found: dict[str, int] = {}
    if free:
        everything = draw(_sizes(described, dims, traits, empty))
        found = {letter: n for letter, n in everything.items() if letter not in fixed}
        _tell(everything)
    bucket = 0 if free else draw(st.integers(0, len(BUCKETS) - 1))
    kind = draw(st.sampled_from(_some_of(KINDS, kinds)))
    return Sample(taken, bucket, kind, draw(st.integers(0, 2**16)), found)


@st.composite
def cases(
    draw: st.DrawFn,
    card: Card,
    *,
    kinds: Iterable[str] = KINDS,
    empty: bool = False,
    choices: st.SearchStrategy[tuple[int, ...]] | None = None,
) -> Case:
    """A card with config, sizes, values and seed, on which every property of the kit can be checked.

    Args:
        draw: Supplied by Hypothesis.
        card: The card.
        kinds: The kinds of input values, from `KINDS`.
        empty: Whether the batch may also be empty, if the card claims `zero_batch`.
        choices: Which option each pick of the card takes. Default: any.
    """
    return Drawn(card, draw(samples(_usable(card), kinds, empty, choices)))


class Drawn(Case):
    """A case that prints as the Python that makes it again."""

    def __repr__(self):
        moved = [place for place, choice in enumerate(self.sample.choices, 1) if choice]
        short = replace(self.sample, choices=self.sample.choices[: max(moved, default=0)])
        return f"Case({_named(self.card)}, {short!r})"


@st.composite
def layers(draw: st.DrawFn, card: Card, **how) -> Built:
    """A built layer with its weights moved off their start, and inputs for it.

    Args:
        draw: Supplied by Hypothesis.
        card: The card.
        **how: As for `cases`.
    """
    case = draw(cases(card, **how))
    with _own_random():
        return built(case)


@st.composite
def models(draw: st.DrawFn, card: Card, places: Iterable[str] = PLACES, **how) -> Placed:
    """The layer in a model: Sequential, Functional, with two branches that share it, or in a wrapper.

    Only places that fit are drawn. A Sequential model and the wrappers take one tensor. In `Residual`, the
    output has the shape of the input. In `TimeDistributed`, it is one tensor.

    Args:
        draw: Supplied by Hypothesis.
        card: The card.
        places: Some of `PLACES`.
        **how: As for `cases`.

    Raises:
        ValueError: the layer fits into none of the places.
    """
    wanted = _some_of(PLACES, places, "places")
    drawn = draw(layers(card, **how))
    with _own_random():
        fitting = fitting_places(drawn)
    if not set(fitting) & set(wanted):
        raise ValueError(
            f"`places` must have one into which `{card.name}` fits: {', '.join(fitting)}. "
            f"Received: {wanted}"
        )
    return Placed(draw(st.sampled_from([each for each in fitting if each in wanted])), drawn)


def drawn(card: Card, number: int) -> tuple[Sample, ...]:
    """Random samples of a card: all different, none the plain one, and the same in every process.

    Sizes are drawn freely, but on JAX they come from the buckets, because each new shape costs a compilation.
    """
    free = compat.BACKEND != "jax"
    if (_pool.get("card"), _pool.get("asked")) != (id(card), (number, free)):
        found = _found(card, number, free)
        _pool.update(card=id(card), kept=card, asked=(number, free), samples=found)
    return _pool["samples"]


_pool: dict[str, Any] = {}
"""What was drawn last: the properties of a card share it, and no card can be hashed."""


def _found(card: Card, number: int, free: bool) -> tuple[Sample, ...]:
    found = {Sample((0,) * len(options(card))): None}  # the plain sample

    @settings(
        max_examples=2 * number + 10,  # some are drawn twice
        phases=(Phase.generate,),
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),  # how long a card takes is not for us to judge
    )
    @given(samples(card, VALUES, free=free))
    def collect(sample):
        found[sample] = None

    collect()
    return tuple(found)[1 : number + 1]


def _choices(card: Card) -> st.SearchStrategy[tuple[int, ...]]:
    with _own_random():
        counts = options(card)
    return st.tuples(*(st.integers(0, count - 1) for count in counts))


@st.composite
def _sizes(draw, tensors: Iterable[Tensor], dims: dict[str, int], traits: Traits, empty: bool):
    """A size for each letter, those of `dims` first and the batch last, so that no input gets too large."""
    axes = [tensor.letters for tensor in tensors]
    letters = sorted(dict.fromkeys(itertools.chain(*axes)), key=lambda letter: letter == "b")
    dynamic = traits.dynamic.split()
    found = {letter: dims[letter] for letter in letters if letter in dims and letter not in dynamic}
    free = [letter for letter in letters if letter not in found]
    least = {letter: dims.get(letter, 1) for letter in free}

    def fits(letter, size):
        others = [
            [found.get(each, 1) for each in own if each != letter] for own in axes if letter in own
        ]
        return (
            least[letter] <= size <= max(3, least[letter], ROOM // max(1, *map(math.prod, others)))
        )

    for letter in free:
        allowed = [n for n in (BATCHES if letter == "b" else SIZES) if fits(letter, n)]
        if letter == "b" and empty and traits.zero_batch:
            allowed = [*allowed, 0]
        found[letter] = draw(st.sampled_from(allowed or [least[letter]]))
    alike = draw(st.sampled_from(("none", "none", "two", "all")))
    if alike == "none" or not free or len(letters) < 2:
        pairs = []
    elif alike == "two":
        letter = draw(st.sampled_from(free))
        pairs = [(letter, draw(st.sampled_from([each for each in letters if each != letter])))]
    else:
        like = next((each for each in letters if each not in free), letters[0])
        pairs = [(letter, like) for letter in free]
    for letter, like in pairs:
        if found[like] and fits(letter, found[like]):
            found[letter] = found[like]
    return {letter: found[letter] for letter in sorted(found)}


def _tell(sizes: dict[str, int]) -> None:
    """Tell Hypothesis's statistics which kinds of sizes were drawn."""
    kinds = {0: "0", 1: "1", 2: "2 to 7", 8: "8 to 17", 18: "18 and more"}
    for letter, size in sizes.items():
        event(f"size of {letter}", kinds[max(n for n in kinds if n <= size)])
    equal = any(a == b for a, b in itertools.combinations(sizes.values(), 2))
    event("two axes", "equal" if equal else "all different")


def _some_of(known: Sequence[str], wanted: Iterable[str], name: str = "kinds") -> list[str]:
    """Those of the known words that are wanted, the simplest first."""
    wanted = list(wanted)
    if not wanted or not set(wanted) <= set(known):
        raise ValueError(f"`{name}` must be some of {', '.join(known)}. Received: {wanted}")
    return [each for each in known if each in wanted]


@contextlib.contextmanager
def _own_random() -> Iterator[None]:
    """Leave Python's random numbers to Hypothesis: Keras draws missing seeds from them."""
    before = random.getstate()
    random.seed(0)
    try:
        yield
    finally:
        random.setstate(before)


def _plain(card: Card) -> Config:
    with _own_random():
        return Case(_usable(card), Sample()).config


def _usable(card: Card) -> Card:
    """The card, if it can be used."""
    if not isinstance(card, Card):
        raise TypeError(
            "A strategy takes a card. For an instance, `card_of(layer, inputs=(2, 5, 16))` makes one from "
            f"the shapes of the inputs; for a class, `layerzoo infer` writes one. Received: {card!r}"
        )
    if _good.get(id(card)) is not card:
        with _own_random():
            problem = fault(card)
        if problem:
            raise ValueError(problem)
        _good[id(card)] = card
    return card


_good: dict[int, Card] = {}
"""The cards that can be used, by their identity, because a card with dicts in it has no hash."""


def _named(card: Card) -> str:
    """Python code for a card: its name in the catalogue, or that of a variable of a module."""
    if home(card) != "-":
        return f'catalogue()["{card.name}"]'
    holders = (
        vars(each).items() for each in list(sys.modules.values()) if hasattr(each, "__dict__")
    )
    names = (name for items in holders for name, value in list(items) if value is card)
    return next(names, "card")
