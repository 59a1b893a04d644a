"""Samples: the points at which a layer is checked, drawn, covered pairwise, simplified and replayed.

A sample is a few integers. It does not hold values but says which option each `pick` of the card takes,
which axis sizes to use, which kind of values to draw, and which seed to use. The deck has only a few buckets
of sizes, because on JAX each new shape costs a compilation. `strategies` draws sizes freely.
"""

import itertools
import random
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from layerzoo.catalogue import Card

BUCKETS: tuple[dict[str, int], ...] = (
    {"b": 2, "t": 5, "s": 3, "d": 4, "z": 5, "y": 6, "x": 7, "c": 3, "e": 2},
    {"b": 3, "t": 7, "s": 5, "d": 6, "z": 6, "y": 5, "x": 4, "c": 2, "e": 3},
    {"b": 1, "t": 1, "s": 2, "d": 3, "z": 4, "y": 2, "x": 3, "c": 3, "e": 2},
)
"""Sizes by axis letter. Within a bucket, axes that could be confused have different sizes."""

VALUES = ("normal", "large", "small", "ties", "sorted")

KINDS = ("zeros", "ones", *VALUES)
"""Every kind of values. The engine draws only from `VALUES`: at special points gradients may have kinks."""

CONTRACT = "1"
"""The version of what a sample means. It goes up if buckets, values or the use of the seed change."""


@dataclass(frozen=True)
class Sample:
    """One point at which a property is checked.

    Attributes:
        choices: The option that each pick of the card takes, modulo the number of options.
        bucket: The index in `BUCKETS` of the axis sizes.
        values: The kind of input values, one of `KINDS`.
        seed: The seed of inputs, weights and directions.
        sizes: Sizes of some axis letters, which replace those of the bucket. Given as a dict, kept as pairs.
    """

    choices: tuple[int, ...] = ()
    bucket: int = 0
    values: str = "normal"
    seed: int = 0
    sizes: Mapping[str, int] | tuple[tuple[str, int], ...] = ()

    def __post_init__(self):
        object.__setattr__(self, "sizes", tuple(sorted(dict(self.sizes).items())))

    def __repr__(self):
        given = {each.name: getattr(self, each.name) for each in fields(self)}
        given["sizes"] = self.axes
        shown = (f"{k}={v!r}" for k, v in given.items() if v not in ((), 0, "normal", {}))
        return f"Sample({', '.join(shown)})"

    @property
    def axes(self) -> dict[str, int]:
        """The given sizes by axis letter."""
        return dict(self.sizes)

    @property
    def token(self) -> str:
        """The sample as text for a report; `Sample.parse` reads it."""
        sizes = "".join(f",{letter}={size}" for letter, size in self.axes.items())
        choices = ".".join(map(str, self.choices)) or "-"
        return f"{choices}:{self.bucket}{sizes}:{self.values}:{self.seed}"

    @classmethod
    def parse(cls, token: str) -> "Sample":
        """The sample of a token.

        Raises:
            ValueError: the text is not a token.
        """
        try:
            choices, axes, values, seed = token.split(":")
            bucket, *sizes = axes.split(",")
            numbers = () if choices == "-" else tuple(map(int, choices.split(".")))
            pairs = [re.fullmatch(r"(\w+)=(\d+)", each).groups() for each in sizes]  # type: ignore[union-attr]
            given = {letter: int(size) for letter, size in pairs}
            sample = cls(numbers, int(bucket), values, int(seed), given)
            known = sample.bucket in range(len(BUCKETS)) and values in KINDS
        except (ValueError, AttributeError):
            known = False
        if not known:
            raise ValueError(
                "A sample's token must read `choices:bucket:values:seed`, as in `0.2.1:0:normal:7`, or with "
                f"sizes after the bucket, as in `0.2.1:0,b=1,t=9:normal:7`. Received: token={token!r}"
            )
        return sample


class Replay:
    """A `pick` that follows recorded choices and notes how many options there were."""

    def __init__(self, choices):
        self.choices = list(choices)
        self.options: list[int] = []

    def __call__(self, options):
        """The recorded option, or the first option if none is recorded."""
        options = list(options)
        index = len(self.options)
        self.options.append(len(options))
        choice = self.choices[index] if index < len(self.choices) else 0
        return options[choice % len(options)]


def options(card: Card) -> list[int]:
    """The number of options of each pick of the card, first in configs, then in dims."""
    replay = Replay(())
    card.dims(replay, card.configs(replay))
    return replay.options


def deck(card: Card, rows: int) -> Iterator[Sample]:
    """The first rows of a deck that soon has every pair of options together in a row.

    The first row is the plain layer. The second moves everything off its first option. The next rows take
    options that no row had, so that every option occurs within as many rows as the largest pick has options.
    """
    counts = [*options(card), len(BUCKETS)]
    sample = lambda row, seed: Sample(tuple(row[:-1]), row[-1], "normal", seed)  # noqa: E731
    generator = random.Random(0)
    open_pairs = {
        (i, a, j, b)
        for i, j in itertools.combinations(range(len(counts)), 2)
        for a in range(counts[i])
        for b in range(counts[j])
    }
    pairs_of = lambda row: {  # noqa: E731
        (i, row[i], j, row[j]) for i, j in itertools.combinations(range(len(row)), 2)
    }
    row = [0] * len(counts)
    for seed in range(rows):
        yield sample(row, seed)
        open_pairs -= pairs_of(row)
        if seed == 0:
            row = [1 % n for n in counts]
        elif not open_pairs:
            return
        else:
            i, a, j, b = min(open_pairs)
            candidates = []
            for _ in range(40):
                candidate = [generator.randrange(n) for n in counts]
                candidate[i], candidate[j] = a, b
                for place, n in enumerate(counts):
                    if seed + 1 < n:
                        candidate[place] = seed + 1  # a seed that no row had
                candidates.append(candidate)
            row = max(candidates, key=lambda candidate: len(pairs_of(candidate) & open_pairs))


def simpler(sample: Sample) -> Iterator[Sample]:
    """The samples that are one step closer to the plain one."""
    for index, choice in enumerate(sample.choices):
        for smaller in range(choice):
            choices = (*sample.choices[:index], smaller, *sample.choices[index + 1 :])
            yield replace(sample, choices=choices)
    if sample.bucket:
        yield replace(sample, bucket=0)
    for letter, size in sample.axes.items():
        others = {each: n for each, n in sample.axes.items() if each != letter}
        yield replace(sample, sizes=others)
        for smaller in _below(size):
            yield replace(sample, sizes={**others, letter: smaller})
    if sample.values != "normal":
        yield replace(sample, values="normal")
    if sample.seed:
        yield replace(sample, seed=0)


def _below(size: int) -> list[int]:
    """Smaller sizes: first 1 and the half, which are far below, and last the next one."""
    return sorted({1, size // 2, size - 2, size - 1} & set(range(1, size)))


def simplest(sample: Sample, still_fails: Any) -> Sample:
    """Simplify step by step to a sample that fails while each of its simpler neighbours passes."""
    for candidate in simpler(sample):
        if still_fails(candidate):
            return simplest(candidate, still_fails)
    return sample
