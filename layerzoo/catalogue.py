"""The catalogue: one card per layer, found through the entry-point group `layerzoo.cards`."""

import importlib
import warnings
from collections.abc import Collection, Sequence
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from itertools import islice
from pathlib import Path

from layerzoo import foreign
from layerzoo.card import Card, Config, Peer, Pick, Tensor, Traits, cards_in

__all__ = [
    "Card",
    "Config",
    "Peer",
    "Pick",
    "Tensor",
    "Traits",
    "cards_and_problems",
    "cards_in",
    "catalogue",
    "families",
    "find",
    "load",
]

GROUP = "layerzoo.cards"

MOST = 10_000
"""How many cards a plug-in may have. A list that has more may have no end."""

WORDS = ("name", "family", "summary", "paper", "paper_title", "paper_authors")
"""What the lists print of a card, each as text in one line."""

_warned: set[str] = set()


def families() -> dict[str, str]:
    """The folders of layerzoo that hold layers, each with the docstring of its package."""
    home = Path(__file__).parent
    names = sorted(path.parent.name for path in home.glob("*/cards"))
    return {name: importlib.import_module(f"layerzoo.{name}").__doc__ or "" for name in names}


@cache
def cards_and_problems() -> tuple[dict[str, Card], tuple[str, ...]]:
    """All installed cards, by name, and a one-line report of each problem with a plug-in."""
    return load(entry_points(group=GROUP))


def load(points: Sequence[EntryPoint]) -> tuple[dict[str, Card], tuple[str, ...]]:
    """Load the cards of some entry points, by name, and a one-line report of each problem.

    A plug-in has at most one report of each kind: it could not be loaded, it has items that are no cards,
    cards that cannot be listed, or names that are taken.
    """
    cards: dict[str, Card] = {}
    problems = []
    ours_first = sorted(points, key=lambda point: not point.value.startswith("layerzoo."))
    for point in ours_first:
        who = f"The plug-in {foreign.shown(point.name)}"
        try:
            with foreign.undisturbed():
                found = foreign.contained(_cards_of, point)
        except Exception as error:  # a plug-in may raise anything, and must not break the others
            problems.append(
                f"{who} ({foreign.line(point.value)}) could not be loaded: {foreign.told(error)}"
            )
            continue
        strange, unlisted, taken = [], [], []
        for card in found:
            try:
                fault = foreign.contained(_fault, card)
            except Exception as error:  # a card of a plug-in can be anything
                fault = foreign.told(error)
            if fault is None:
                strange.append(foreign.shown(card))
            elif fault:
                unlisted.append(fault)
            elif card.name in cards:
                taken.append(repr(card.name))
            else:
                cards[card.name] = card
        if strange:
            problems.append(f"{who} gave {_few(strange)}, which is not a Card.")
        if unlisted:
            problems.append(f"{who} has a card that cannot be listed: {_few(unlisted)}.")
        if taken:
            problems.append(
                f"{who} has a layer named {_few(taken)}, which is already taken. "
                "The first one is kept."
            )
    return cards, tuple(problems)


def _cards_of(point: EntryPoint) -> list:
    found = list(islice(point.load(), MOST + 1))
    if len(found) > MOST:
        raise ValueError(f"a list of cards must have an end. Received: more than {MOST:,} items")
    return found


def _fault(card) -> str | None:
    """What keeps a card out of the lists; nothing if it is sound, and None if it is no card."""
    if not isinstance(card, Card):
        return None
    for name in WORDS:
        value = getattr(card, name)
        if not isinstance(value, str) or not value.isprintable():
            return (
                f"its {name} must be text in one printable line. Received: {foreign.shown(value)}"
            )
    if not card.name.isidentifier():
        return f"its name must be an identifier. Received: {card.name!r}"
    for name in ("tags", "aliases"):
        value = getattr(card, name)
        if not isinstance(value, Collection) or not all(_is_word(word) for word in value):
            return f"its {name} must be printable words. Received: {foreign.shown(value)}"
    if not isinstance(card.year, int | None):
        return f"its year must be an integer. Received: {foreign.shown(card.year)}"
    return ""


def _is_word(value) -> bool:
    return isinstance(value, str) and value.isprintable()


def _few(items: Sequence[str]) -> str:
    """The first items, and how many more there are."""
    more = f" and {len(items) - 3} more" if len(items) > 3 else ""
    return ", ".join(items[:3]) + more


def catalogue() -> dict[str, Card]:
    """All installed cards, by layer name: those of layerzoo and those of plug-ins.

    A plug-in that cannot be loaded is left out, with a warning the first time.
    """
    cards, problems = cards_and_problems()
    for problem in problems:
        if problem not in _warned:
            _warned.add(problem)
            warnings.warn(problem, RuntimeWarning, stacklevel=2)
    return dict(sorted(cards.items()))


def find(pattern: str) -> list[Card]:
    """The cards that a word or shell pattern finds, as in `find("gated*")` or `find("SwiGLU")`.

    It is compared with each card's name, family, tags and aliases. If it equals none of them, the cards that
    mention it are found.
    """
    from layerzoo_entry.index import matching  # the command line has it, because it needs no Keras

    return matching(catalogue().values(), pattern)
