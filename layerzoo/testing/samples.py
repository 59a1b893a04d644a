"""Where a layer is looked at: a sample is a few integers, drawn, covered pairwise, simplified, replayed.

A sample names options instead of holding values: which option each `pick` of the card takes, which
bucket of axis sizes, which class of values, and the seed of everything random. Shapes come from few
buckets because a new shape costs a compilation, and values are free after it.
"""

import functools
import itertools
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from layerzoo.catalogue import Card

BUCKETS: tuple[dict[str, int], ...] = (
    {"b": 2, "t": 5, "s": 3, "d": 4, "z": 5, "y": 6, "x": 7, "c": 3, "e": 2},
    {"b": 3, "t": 7, "s": 5, "d": 6, "z": 6, "y": 5, "x": 4, "c": 2, "e": 3},
    {"b": 1, "t": 1, "s": 2, "d": 3, "z": 4, "y": 2, "x": 3, "c": 3, "e": 2},
)
"""Sizes by axis letter. No two axes of a bucket that could be confused have one size."""

VALUES = ("normal", "large", "small", "ties", "sorted")

CONTRACT = "1"
"""The version of what a sample means; a change of buckets, values or of how the seed is used raises it."""


@dataclass(frozen=True)
class Sample:
    """One point at which a property is checked.

    Attributes:
        choices: Which option each pick of the card takes, modulo the number of options.
        bucket: Which of `BUCKETS` gives the axis sizes.
        values: Which class of input values, one of `VALUES`.
        seed: Seed of inputs, weights and directions.
    """

    choices: tuple[int, ...] = ()
    bucket: int = 0
    values: str = "normal"
    seed: int = 0

    @property
    def token(self) -> str:
        """The sample in a line, for a report; `Sample.parse` reads it."""
        return f"{'.'.join(map(str, self.choices)) or '-'}:{self.bucket}:{self.values}:{self.seed}"

    @classmethod
    def parse(cls, token: str) -> "Sample":
        """The sample of a token.

        Raises:
            ValueError: the text is no token.
        """
        try:
            choices, bucket, values, seed = token.split(":")
            numbers = () if choices == "-" else tuple(map(int, choices.split(".")))
            sample = cls(numbers, int(bucket), values, int(seed))
            known = sample.bucket in range(len(BUCKETS)) and values in VALUES
        except ValueError:
            known = False
        if not known:
            raise ValueError(
                "A sample's token reads `choices:bucket:values:seed`, as in `0.2.1:0:normal:7`. "
                f"Received: token={token!r}"
            )
        return sample


class Replay:
    """A `pick` that takes recorded choices, and notes how many options there were."""

    def __init__(self, choices):
        self.choices = list(choices)
        self.options: list[int] = []

    def __call__(self, options):
        """The recorded option, or the first where nothing is recorded."""
        options = list(options)
        index = len(self.options)
        self.options.append(len(options))
        choice = self.choices[index] if index < len(self.choices) else 0
        return options[choice % len(options)]


def options(card: Card) -> list[int]:
    """How many options each pick of the card has, configs first, then dims."""
    replay = Replay(())
    card.dims(replay, card.configs(replay))
    return replay.options


def deck(card: Card, rows: int) -> Iterator[Sample]:
    """The first rows of a deck in which every pair of options soon stands together.

    The first row is the plain layer, the second moves everything off its first option, and the next take
    the options that no row had, so that each has been seen after as many rows as a pick has options.
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
                        candidate[place] = seed + 1  # which no row had
                candidates.append(candidate)
            row = max(candidates, key=lambda candidate: len(pairs_of(candidate) & open_pairs))


def samples(counts: Iterable[int]) -> st.SearchStrategy[Sample]:
    """Every sample of a card whose picks have so many options, as a Hypothesis strategy."""
    return st.builds(
        Sample,
        choices=st.tuples(*(st.integers(0, count - 1) for count in counts)),
        bucket=st.integers(0, len(BUCKETS) - 1),
        values=st.sampled_from(VALUES),
        seed=st.integers(0, 2**16),
    )


def drawn(card: Card, number: int) -> tuple[Sample, ...]:
    """Random samples of a card, all different and none the plain one, and the same in every process."""
    return _drawn(tuple(options(card)), number)


@functools.cache
def _drawn(counts, number):
    found = {Sample((0,) * len(counts)): None}  # which Hypothesis draws first

    @settings(
        max_examples=number + 1,
        phases=(Phase.generate,),
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(samples(counts))
    def collect(sample):
        found[sample] = None

    collect()
    return tuple(found)[1:]


def simpler(sample: Sample) -> Iterator[Sample]:
    """Samples one step nearer to the plain one."""
    for index, choice in enumerate(sample.choices):
        for smaller in range(choice):
            choices = (*sample.choices[:index], smaller, *sample.choices[index + 1 :])
            yield replace(sample, choices=choices)
    if sample.bucket:
        yield replace(sample, bucket=0)
    if sample.values != "normal":
        yield replace(sample, values="normal")
    if sample.seed:
        yield replace(sample, seed=0)


def simplest(sample: Sample, still_fails) -> Sample:
    """Descend to a sample that still fails and of which no simpler neighbour does."""
    for candidate in simpler(sample):
        if still_fails(candidate):
            return simplest(candidate, still_fails)
    return sample
