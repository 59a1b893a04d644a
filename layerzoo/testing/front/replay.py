"""The check that a token names."""

from layerzoo.catalogue import Card
from layerzoo.testing.engine.register import PROPERTIES, Property
from layerzoo.testing.engine.samples import options
from layerzoo.testing.engine.token import Token
from layerzoo.testing.front.targets import resolve
from layerzoo_entry.usage import UsageError


def subject(token: Token) -> tuple[Card, Property]:
    """The card and the property; this imports the target's module.

    Raises:
        UsageError: there is no such card or property, or the card's picks have changed.
    """
    if token.identity not in PROPERTIES:
        raise UsageError(
            f"A token must name one of these properties: {', '.join(PROPERTIES)}. "
            f"Received: {token.identity!r}"
        )
    if token.target == "-":
        raise UsageError(
            "This check was made in Python, on a layer that no command can find. Run it in Python: "
            f"{token.command}. Received: target='-'"
        )
    found = resolve(token.target)
    if len(found) != 1:
        raise UsageError(
            f"A token must name one card. Received: {token.target!r}, which names {len(found)}"
        )
    card, problem = found[0].card, found[0].problem
    if card is None or problem:
        raise UsageError(problem)
    counts, choices = options(card), token.sample.choices
    fits = len(counts) == len(choices) and all(
        0 <= choice < count for choice, count in zip(choices, counts, strict=True)
    )
    if not fits:
        raise UsageError(
            f"The choices in a token must fit the card's picks, and the card has changed since: "
            f"the picks of `{card.name}` now have {counts} options. Received: {list(choices)}"
        )
    return card, PROPERTIES[token.identity]
