"""The declaration of an experiment, and where a layer's is found."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from layerzoo.card import Card
from layerzoo.catalogue import catalogue
from layerzoo.cookbook import beside
from layerzoo_entry.usage import UsageError

Results = Mapping[str, Any]
"""What one seed gave: for each model by its name, a number, or with `x` a dict of numbers by `x`."""


@dataclass(frozen=True)
class Evidence:
    """A claim that a paper makes about a layer, and a small experiment that can refute it.

    The module `evidence/<layer>.py` beside the layer's file holds it as `EVIDENCE`.

    Attributes:
        claim: What the paper claims, in one sentence.
        source: Where the paper claims it, as in `"arXiv:1512.03385, figure 1"`.
        task: The data, the models and the training, in a few sentences.
        run: A function of a seed that trains everything and returns a number for each model, by the
            model's name: the one with the layer first, then those it is compared with. With `x`, it
            returns a dict of numbers by the values of `x` for each.
        metric: What the numbers are, as in `"accuracy on held-out digits"`.
        holds: What must be true in every seed if the claim holds: for each sentence, a function of what
            `run` returned.
        better: Whether a `"higher"` or a `"lower"` number is better.
        x: What the numbers depend on, as in `"length of the text"`. Default: one number for each model.
        seeds: The seeds. Each of them trains every model anew.
        limits: How the experiment differs from the paper's, and what it does not show.
    """

    claim: str
    source: str
    task: str
    run: Callable[[int], Results]
    metric: str
    holds: Mapping[str, Callable[[Results], bool]]
    better: str = "higher"
    x: str | None = None
    seeds: Sequence[int] = (0, 1, 2)
    limits: str = ""

    def __post_init__(self):
        for name in ("claim", "source", "task", "metric"):
            if not getattr(self, name) or not isinstance(getattr(self, name), str):
                raise ValueError(
                    f"`{name}` must be a text. Received: {name}={getattr(self, name)!r}"
                )
        if self.better not in ("higher", "lower"):
            raise ValueError(
                f'`better` must be "higher" or "lower". Received: better={self.better!r}'
            )
        if not self.holds or not self.seeds:
            raise ValueError(
                "An experiment must have a seed, and a condition that could fail. "
                f"Received: seeds={self.seeds!r}, holds={self.holds!r}"
            )


def module_of(card: Card) -> str:
    """The module in which a layer's experiment is looked for, beside the layer's own."""
    return beside.module_of(card, "evidence")


def evidence_of(card: Card) -> Evidence | None:
    """The experiment of a layer, or None if it has none.

    Raises:
        TypeError: its module has no `EVIDENCE`.
    """
    return beside.declared(card, "evidence", Evidence)


def all_evidence() -> Iterator[tuple[str, Evidence | str]]:
    """Each layer that has an experiment, by its name: the experiment, or why it cannot be loaded."""
    return beside.every(catalogue().values(), evidence_of)


def demanded(card: Card) -> Evidence:
    """The experiment of a layer.

    Raises:
        UsageError: it has none.
    """
    found = evidence_of(card)
    if found is None:
        names = [name for name, _ in all_evidence()]
        raise UsageError(
            f"The layer must have an experiment: {', '.join(names) or 'no layer has one'}. "
            f"Received: {card.name!r}"
        )
    return found
