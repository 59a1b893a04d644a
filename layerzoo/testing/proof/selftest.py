"""Whether the kit can fail here: each property runs on a layer that breaks it, and on a sound one."""

from dataclasses import dataclass

from layerzoo.tensors import compat
from layerzoo.testing.engine.register import Property
from layerzoo.testing.engine.run import check_property
from layerzoo.testing.proof.broken import BROKEN, SOUND


def profile_of(each: Property) -> str:
    """The least thorough profile that checks a property."""
    return "ci" if each.cost == "long" else "smoke"


@dataclass(frozen=True)
class Proof:
    """The results of a property on a layer that breaks it and on a sound one.

    Attributes:
        property: The property.
        sentinel: The broken layer's name.
        troubles: The reasons why nothing is proven; empty if it is.
    """

    property: Property
    sentinel: str
    troubles: tuple[str, ...]


def prove(each: Property) -> Proof:
    """Run a property on a layer on which it must fail, and on one on which it must not."""
    sentinels = [b for b in BROKEN if b.kill == each.id and compat.BACKEND not in b.sound_on]
    if not sentinels:
        return Proof(each, "", (f"{each.id} cannot fail here: no broken layer breaks it",))
    sentinel = sentinels[0]
    name = sentinel.card.name
    troubles = []
    result = check_property(sentinel.card, each, profile_of(each), simplify=False)
    raised = bool(result.failure and result.failure.raised)
    if result.status != "failed":
        troubles.append(
            f"{each.id} cannot fail here: {name} breaks it, but the result is {_came_out(result)}"
        )
    elif raised != sentinel.raises:
        troubles.append(
            f"{each.id} fails here, but not from the defect in {name}: {result.message}"
        )
    nearest_first = sorted(SOUND, key=lambda card: not issubclass(sentinel.card.layer, card.layer))
    for card in nearest_first:
        result = check_property(card, each, profile_of(each), simplify=False)
        if not result.ok:
            troubles.append(f"{each.id} fails on a sound layer, {card.name}: {_came_out(result)}")
        if result.samples:
            break  # one layer to which the property applies is enough; the tests run all
    return Proof(each, name, tuple(troubles))


def _came_out(result) -> str:
    said = result.status.replace("_", " ")
    return f"{said}: {result.message}" if result.message else said
