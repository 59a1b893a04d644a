"""What a command-line target names: a card in the catalogue, the cards of a module, or one of its layers."""

import importlib
import os
import sys
from dataclasses import dataclass

import keras

from layerzoo import foreign
from layerzoo.catalogue import Card, cards_and_problems
from layerzoo.tensors import compat
from layerzoo.testing.engine.cards import fault, told
from layerzoo_entry import index
from layerzoo_entry.usage import UsageError

FORMS = (
    "A target is a layer that `layerzoo list` prints, a module with a list `CARDS`, or "
    "`module:CARDS`, `module:card` or `module:Layer`"
)


@dataclass(frozen=True)
class Target:
    """A card that a target names, or the reason why there is none.

    Attributes:
        text: A target that names only this card, as in `my_layers.cards:CARDS:Stripes`.
        card: The card.
        problem: Why nothing can be checked, in one line.
    """

    text: str
    card: Card | None = None
    problem: str = ""


def resolve(text: str) -> list[Target]:
    """The cards that a target names, each with its problem if it has one.

    This imports the module, also from the working directory. It never raises, whatever the module does,
    because one unusable target must not stop the others.
    """
    try:
        found = foreign.contained(_found, text)
    except UsageError as error:
        return [Target(text, problem=str(error))]
    except Exception as error:  # what the module holds can do anything
        return [Target(text, problem=f"{FORMS}. Received: {text!r}, and {told(error)}")]
    return [_looked_over(each) for each in found]


def installed() -> list[Target]:
    """Every card of the catalogue, and a problem for each plug-in that could not be loaded."""
    cards, problems = cards_and_problems()
    found = [Target(name, card) for name, card in cards.items()]
    troubles = [Target("the installed plug-ins", problem=problem) for problem in problems]
    return [_looked_over(each) for each in found] + troubles


def class_named(text: str) -> type[keras.layers.Layer]:
    """The layer class that `module:Layer` names.

    Raises:
        UsageError: it names no layer class.
    """
    module, _, path = text.partition(":")
    if not all(word.isidentifier() for word in [*module.split("."), *path.split(".")]):
        raise UsageError(f"A class must be named as `module:Layer`. Received: {text!r}")
    holder = _imported(text, module)
    value = holder
    for word in path.split("."):
        value = _attribute(text, value, word, holder)
    if not _is_layer(value):
        raise UsageError(
            f"A card can only be inferred for a layer class. Received: {foreign.shown(value)}"
        )
    return value


def labelled(targets: list[Target]) -> dict[str, tuple[Card, str]]:
    """The usable cards and their targets, by the layer's name, or by the target if that name is taken."""
    labels: dict[str, tuple[Card, str]] = {}
    for target in targets:
        if target.card is None or target.problem:
            continue
        if any(card is target.card for card, _ in labels.values()):
            continue
        name = target.card.name
        labels[target.text if name in labels else name] = target.card, target.text
    return labels


def _found(text: str) -> list[Target]:
    module, colon, rest = text.partition(":")
    path, _, name = rest.partition(":")
    if not colon:
        cards, problems = cards_and_problems()
        if text in cards:
            return [Target(text, cards[text])]
        path = "CARDS"
    words = [*module.split("."), *path.split("."), *([name] if name else [])]
    if not all(word.isidentifier() for word in words):
        raise UsageError(f"{FORMS}. Received: {text!r}")
    holder = _imported(text, module)
    if holder is None:
        hints = [index.meant(cards.values(), text), *problems]
        raise UsageError(" ".join(filter(None, [f"{FORMS}. Received: {text!r}.", *hints])))
    value = holder
    for word in path.split("."):
        value = _attribute(text, value, word, holder)
    if isinstance(value, list | tuple):
        origin = text if colon else f"{text}:CARDS"
        return _of_list(origin.removesuffix(f":{name}") if name else origin, value, name)
    if name:
        raise UsageError(f"A second colon is only for a card in a list. Received: {text!r}")
    return [Target(text, _card(value))]


def _imported(text, module):
    """The module, or None if a target without a colon names none and so was meant as a layer."""
    here = os.getcwd()
    if here not in sys.path:
        sys.path.insert(0, here)  # as `python -m` does
    try:
        return foreign.contained(importlib.import_module, module)
    except Exception as error:  # importing runs any code in the module
        absent = isinstance(error, ModuleNotFoundError) and f"{module}.".startswith(
            f"{error.name}."
        )
        if absent and ":" not in text:
            return None
        if absent:
            raise UsageError(
                "The module of a target must be importable from the working directory. "
                f"Received: {text!r}: {error}"
            ) from None
        raise UsageError(
            f"The module of a target must be importable. Received: {text!r} raised {told(error)}"
        ) from None


def _attribute(text, value, word, holder):
    try:
        return getattr(value, word)
    except Exception:  # a module may have a `__getattr__` of its own
        held = ", ".join(name for name, each in vars(holder).items() if _is_target(each, holder))
        raise UsageError(
            f"A target must be in its module. Received: {text!r}: `{holder.__name__}` has no `{word}`"
            + (f"; it has {held}, which you name as `{holder.__name__}:...`" if held else "")
        ) from None


def _is_target(value, module) -> bool:
    own_layer = _is_layer(value) and value.__module__ == module.__name__
    cards = value if isinstance(value, list | tuple) else [value]
    return own_layer or any(isinstance(each, Card) for each in cards)


def _of_list(text, cards, name) -> list[Target]:
    found = []
    taken = set()
    for place, card in enumerate(cards):
        if not isinstance(card, Card):
            problem = f"A list of cards must hold only cards. Received: item {place} = {foreign.shown(card)}"
            found.append(Target(f"{text}[{place}]", problem=problem))
        elif card.name in taken:
            problem = (
                "A list must hold one card for each layer; give the second card its own variable in the "
                f"module. Received: item {place} = another card of `{card.name}`"
            )
            found.append(Target(f"{text}[{place}]", problem=problem))
        else:
            taken.add(card.name)
            found.append(Target(f"{text}:{card.name}", card))
    if name:
        found = [each for each in found if each.card is not None and each.card.name == name]
    if not found:
        raise UsageError(
            f"The list `{text}` must hold a card" + (f" of `{name}`" if name else "") + ". "
            f"Received: a list of {', '.join(sorted(taken)) or 'nothing'}"
        )
    return found


def _card(value) -> Card:
    if isinstance(value, Card):
        return value
    if not _is_layer(value):
        raise UsageError(
            "A target must be a card, a list of cards or a layer class. "
            f"Received: {foreign.shown(value)} of type {type(value).__name__}"
        )
    cards, _ = cards_and_problems()
    known = [card for card in cards.values() if card.layer is value]
    if known:
        return known[0]
    from layerzoo.testing.front.infer import infer

    try:
        with compat.undisturbed():
            return infer(value)
    except UsageError as error:
        raise UsageError(foreign.line(str(error))) from None
    except Exception as error:  # a layer can raise anything
        raise UsageError(
            f"If a layer class has no card, the kit must be able to find arguments and inputs for it. "
            f"Received: {value.__name__}, {told(error)}"
        ) from None


def _is_layer(value) -> bool:
    return isinstance(value, type) and issubclass(value, keras.layers.Layer)


def _looked_over(target: Target) -> Target:
    if target.card is None or target.problem:
        return target
    try:
        return Target(target.text, target.card, foreign.contained(fault, target.card))
    except Exception as error:  # a card can be of a class of its own
        return Target(target.text, problem=f"The card must be readable. Received: {told(error)}")
