"""The catalogue: one card per layer, found through the entry-point group `layerzoo.cards`."""

import importlib
import warnings
from collections.abc import Sequence
from fnmatch import fnmatchcase
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from layerzoo.card import Card, Config, Peer, Pick, Tensor, Traits, cards_in

__all__ = [
    "Card",
    "Config",
    "Peer",
    "Pick",
    "Tensor",
    "Traits",
    "cards_in",
    "catalogue",
    "families",
    "find",
    "load",
]

GROUP = "layerzoo.cards"


def families() -> dict[str, str]:
    """The folders of layerzoo that hold layers, each with the docstring of its package."""
    home = Path(__file__).parent
    names = sorted(path.parent.name for path in home.glob("*/cards"))
    return {name: importlib.import_module(f"layerzoo.{name}").__doc__ or "" for name in names}


@cache
def _installed() -> tuple[dict[str, Card], tuple[str, ...]]:
    return load(entry_points(group=GROUP))


def load(points: Sequence[EntryPoint]) -> tuple[dict[str, Card], tuple[str, ...]]:
    """Load the cards of some entry points, by name, and a one-line report of each problem."""
    cards: dict[str, Card] = {}
    problems = []
    ours_first = sorted(points, key=lambda point: not point.value.startswith("layerzoo."))
    for point in ours_first:
        try:
            found = list(point.load())
        except Exception as error:  # a plug-in may raise anything, and must not break the others
            problems.append(
                f"The plug-in {point.name!r} ({point.value}) could not be loaded: "
                f"{type(error).__name__}: {error}"
            )
            continue
        for card in found:
            if not isinstance(card, Card):
                problems.append(f"The plug-in {point.name!r} gave {card!r}, which is not a Card.")
            elif card.name in cards:
                problems.append(
                    f"The plug-in {point.name!r} has a layer named {card.name!r}, which is already taken. "
                    "The first one is kept."
                )
            else:
                cards[card.name] = card
    return cards, tuple(problems)


def catalogue() -> dict[str, Card]:
    """All installed cards, by layer name: those of layerzoo and those of plug-ins.

    A plug-in that cannot be loaded is left out, with a warning.
    """
    cards, problems = _installed()
    for problem in problems:
        warnings.warn(problem, RuntimeWarning, stacklevel=2)
    return dict(sorted(cards.items()))


def find(pattern: str) -> list[Card]:
    """The cards whose name, family or tags match a shell pattern, as in `find("gated*")`."""
    pattern = pattern.lower()
    return [
        card
        for card in catalogue().values()
        if any(fnmatchcase(word.lower(), pattern) for word in (card.name, card.family, *card.tags))
    ]
