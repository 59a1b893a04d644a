"""Declarations beside a layer, each kind in a folder of its own, as in `evidence/<layer>.py`."""

import importlib
import importlib.util
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from layerzoo import foreign
from layerzoo.card import Card
from layerzoo.cookbook.drawing import snake_case

Kind = TypeVar("Kind")


def module_of(card: Card, folder: str) -> str:
    """The module in which a layer's declaration is looked for, in a folder beside the layer's own file."""
    module = card.layer.__module__
    return f"{module.rpartition('.')[0] or module}.{folder}.{snake_case(card.name)}"


def declared(card: Card, folder: str, kind: type[Kind]) -> Kind | None:
    """What a layer declares, or None if it has no such module.

    The declaration has the name of the folder in capitals, as in `EVIDENCE`.

    Raises:
        TypeError: the module declares nothing of this kind.
    """
    module = module_of(card, folder)
    package = module.rpartition(".")[0]
    try:
        if not (importlib.util.find_spec(package) and importlib.util.find_spec(module)):
            return None
    except ModuleNotFoundError:  # the layer's module is no package, so that nothing can be inside
        return None
    found = getattr(importlib.import_module(module), folder.upper(), None)
    if not isinstance(found, kind):
        raise TypeError(
            f"`{module}.{folder.upper()}` must be of the class `{kind.__name__}`. "
            f"Received: {found!r}"
        )
    return found


def every(
    cards: Iterable[Card], find: Callable[[Card], Kind | None]
) -> Iterator[tuple[str, Kind | str]]:
    """What each layer declares, by its name, or why it cannot be loaded; layers without are left out."""
    for card in cards:
        try:
            with foreign.undisturbed():
                found = foreign.contained(find, card)
        except Exception as error:  # a plug-in may raise anything
            yield card.name, f"cannot be loaded: {foreign.told(error)}"
            continue
        if found:
            yield card.name, found
