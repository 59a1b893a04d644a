"""A failing check as one line, which a report prints and anyone can run again."""

import re
import shlex
from dataclasses import dataclass

from layerzoo.tensors import compat
from layerzoo.testing.engine.samples import CONTRACT, Sample

FORM = (
    "A token reads `contract:property:target:sample`, as in `1:G1:SelfAttention:0.2.1:0:normal:7`"
)


@dataclass(frozen=True)
class Token:
    """One property of one card at one sample.

    Attributes:
        identity: The property's id.
        target: What `layerzoo check` finds the card by, or `-` for a card that exists only in Python.
        sample: The sample at which the property is checked.
    """

    identity: str
    target: str
    sample: Sample

    def __str__(self):
        return f"{CONTRACT}:{self.identity}:{self.target}:{self.sample.token}"

    @property
    def command(self) -> str:
        """The command that runs the check again."""
        if self.target == "-":
            return (
                f'layerzoo.testing.check_sample(card, PROPERTIES["{self.identity}"], '
                f'Sample.parse("{self.sample.token}"))  # for an instance: card = card_of(layer, inputs)'
            )
        return f"layerzoo replay {shlex.quote(str(self))} --backend {compat.BACKEND}"

    @classmethod
    def parse(cls, text: str) -> "Token":
        """The token in a text; this imports and evaluates nothing.

        Raises:
            ValueError: the text is not a token, or it has another contract.
        """
        contract, *fields = text.split(":")
        if not re.fullmatch(r"[0-9.]+", contract) or len(fields) < 3:
            raise ValueError(f"{FORM}. Received: {text!r}")
        if contract != CONTRACT:
            raise ValueError(
                f"A token must come from a version of layerzoo with the same contract, here {CONTRACT}. "
                f"Received: contract {contract} in {text!r}"
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


def _words(fields: list[str]) -> int:
    """How many of the fields name the target: the leading identifiers, which no sample begins with."""
    count = 0
    for field in fields:
        if not all(word.isidentifier() for word in field.split(".")):
            break
        count += 1
    return count
