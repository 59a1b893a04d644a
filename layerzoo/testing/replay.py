"""A failing check in a line, which a report prints and anybody can run again."""

import re
import shlex
from dataclasses import dataclass

from layerzoo.catalogue import Card
from layerzoo.testing import compat
from layerzoo.testing.properties import PROPERTIES, Property
from layerzoo.testing.samples import CONTRACT, Sample, options
from layerzoo.testing.targets import resolve

FORM = (
    "A token reads `contract:property:target:sample`, as in `1:G1:SelfAttention:0.2.1:0:normal:7`"
)


@dataclass(frozen=True)
class Token:
    """One property of one card at one sample.

    Attributes:
        identity: The property's id.
        target: What `layerzoo check` finds the card by, or `-` for a card known only to Python.
        sample: Where the property is checked.
    """

    identity: str
    target: str
    sample: Sample

    def __str__(self):
        return f"{CONTRACT}:{self.identity}:{self.target}:{self.sample.token}"

    @property
    def command(self) -> str:
        """What to type to run the check again."""
        if self.target == "-":
            return (
                f'layerzoo.testing.check_sample(card, PROPERTIES["{self.identity}"], '
                f'Sample.parse("{self.sample.token}"))  # of an instance: card_of(layer, inputs)'
            )
        return f"layerzoo replay {shlex.quote(str(self))} --backend {compat.BACKEND}"

    @classmethod
    def parse(cls, text: str) -> "Token":
        """The token in a text, of which nothing is imported or evaluated.

        Raises:
            ValueError: the text is no token, or one of another contract.
        """
        contract, *fields = text.split(":")
        if not re.fullmatch(r"[0-9.]+", contract) or len(fields) < 3:
            raise ValueError(f"{FORM}. Received: {text!r}")
        if contract != CONTRACT:
            raise ValueError(
                f"A token is replayed by the version of layerzoo that made it: samples mean contract "
                f"{CONTRACT} here. Received: contract {contract} in {text!r}"
            )
        identity, *rest = fields
        words = 1 if rest[0] == "-" else _words(rest)
        target, written = ":".join(rest[:words]), ":".join(rest[words:])
        try:
            sample = Sample.parse(written)
        except ValueError:
            sample = None
        if sample is None or not words or sample.token != written or sample.seed < 0:
            raise ValueError(f"{FORM}. Received: {text!r}")
        return cls(identity, target, sample)

    def subject(self) -> tuple[Card, Property]:
        """The card and the property, for which the target's module is imported.

        Raises:
            ValueError: there is no such card or property, or the card has other picks by now.
        """
        if self.identity not in PROPERTIES:
            raise ValueError(
                f"A token must name a property that there is: {', '.join(PROPERTIES)}. "
                f"Received: {self.identity!r}"
            )
        if self.target == "-":
            raise ValueError(
                "This check was made from Python, of a layer that no command can find; run it there: "
                f"{self.command}. Received: target='-'"
            )
        found = resolve(self.target)
        if len(found) != 1:
            raise ValueError(
                f"A token must name one card. Received: {self.target!r}, which holds {len(found)}"
            )
        card, problem = found[0].card, found[0].problem
        if card is None or problem:
            raise ValueError(problem)
        counts, choices = options(card), self.sample.choices
        fits = len(counts) == len(choices) and all(
            0 <= choice < count for choice, count in zip(choices, counts, strict=True)
        )
        if not fits:
            raise ValueError(
                f"The choices of a token must fit the picks of the card, which has changed since: "
                f"`{card.name}` has picks with {counts} options now. Received: {list(choices)}"
            )
        return card, PROPERTIES[self.identity]


def _words(fields: list[str]) -> int:
    """How many of the fields name the target: those that begin with a letter, as no sample does."""
    count = 0
    for field in fields:
        if not all(word.isidentifier() for word in field.split(".")):
            break
        count += 1
    return count
