"""A card as a whole: what names it, and what makes it unusable."""

import sys
import traceback
from pathlib import Path

from layerzoo import foreign
from layerzoo.card import CardError
from layerzoo.catalogue import Card, cards_and_problems
from layerzoo.tensors import compat
from layerzoo.testing.engine.case import Case
from layerzoo.testing.engine.register import PROPERTIES
from layerzoo.testing.engine.samples import Sample

FOREIGN = (str(Path(__file__).parents[2]), sys.prefix, sys.base_prefix, "<frozen")
"""Path prefixes of files that are not the user's."""


def home(card: Card) -> str:
    """The target that names a card: its catalogue name, or `-` for a card that exists only in Python."""
    cards, _ = cards_and_problems()
    return card.name if cards.get(card.name) is card else "-"


def fault(card: Card) -> str:
    """What makes a card unusable before any property is checked."""
    case = Case(card, Sample())
    for name in ("expected_failures", "expected_inconclusive"):
        expected = dict(getattr(card, name))
        unknown = [key for key in expected if key.partition("@")[0] not in PROPERTIES]
        if unknown:
            return (
                f"In the card of `{card.name}`, `{name}` must name properties that exist. "
                f"Received: {name}={expected!r}, unknown: {', '.join(unknown)}"
            )
    parts = {"configs": "config", "dims": "sizes", "traits": "traits"}
    with compat.undisturbed():
        for part, name in parts.items():
            try:
                foreign.contained(getattr, case, name)
            except CardError as error:
                return foreign.line(str(error))
            except Exception as error:  # a card's functions can raise anything
                return (
                    f"In the card of `{card.name}`, `{part}` must work for the plain layer. "
                    f"Received: {told(error)}"
                )
        try:
            foreign.contained(case.make)
        except Exception as error:  # so can a constructor
            return (
                f"The card of `{card.name}` must give arguments that the constructor accepts. "
                f"Received: {foreign.shown(case.config)}, which raised {told(error)}"
            )
    return ""


def told(error: BaseException) -> str:
    """An error in one line: its type, its message, and where it was raised."""
    said = foreign.told(error)
    if isinstance(error, SyntaxError):  # its message has the place
        return said
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if not frame.filename.startswith(FOREIGN)]
    at = (own or frames)[-1]
    return f"{said} ({at.filename}:{at.lineno})"
