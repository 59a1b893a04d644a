"""The declaration of deep stacks, and where a layer's is found."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import keras

from layerzoo.building.arguments import one_of
from layerzoo.card import Card
from layerzoo.catalogue import catalogue
from layerzoo.cookbook import beside
from layerzoo_entry.usage import UsageError

Block = Callable[[int, int], keras.layers.Layer]
"""Makes one block of a stack, from its place in it, counted from 0, and the number of blocks."""

CLAIMS = {
    "keeps its size": (0.1, 10.0),
    "shrinks": (0.0, 0.1),
    "does not vanish": (0.1, math.inf),
}
"""What a paper can say of the gradient on its way through a stack.

For each, the smallest and the largest value that the norm at the first block, divided by that at the last,
may then have.
"""

INPUTS = {
    "features": "64 pixels, mapped to 32 features by a dense layer",
    "rows": "8 rows as a sequence, each mapped to 32 features by a dense layer",
    "image": "8 by 8 pixels, mapped to 32 channels by a convolution",
}
"""What the first block reads, by the words of `Depth.inputs`."""


@dataclass(frozen=True)
class Depth:
    """How the blocks of a layer are stacked, and what its paper says of the gradient in deep stacks.

    The module `depth/<layer>.py` beside the layer's file holds it as `DEPTH`.

    Attributes:
        says: What the paper says of deep stacks, in one sentence.
        source: Where the paper says it, as in `"arXiv:2003.04887, section 3"`.
        stacks: For each stack, by a short name, a function that makes one block. It gets the block's place
            in the stack, counted from 0, and the number of blocks.
        claims: What the paper says of the gradient in a stack, by the stack's name: one of `CLAIMS`. Of
            other stacks it says nothing.
        inputs: What the blocks read: `"features"` of shape `(batch, 32)`, `"rows"` of shape
            `(batch, 8, 32)`, or an `"image"` of shape `(batch, 8, 8, 32)`.
        limits: How the stacks differ from the paper's, and what they do not show.
    """

    says: str
    source: str
    stacks: Mapping[str, Block]
    claims: Mapping[str, str] = field(default_factory=dict)
    inputs: str = "features"
    limits: str = ""

    def __post_init__(self):
        for name in ("says", "source"):
            if not getattr(self, name) or not isinstance(getattr(self, name), str):
                raise ValueError(
                    f"`{name}` must be a text. Received: {name}={getattr(self, name)!r}"
                )
        one_of(tuple(INPUTS), inputs=self.inputs)
        if not self.stacks or not all(callable(block) for block in self.stacks.values()):
            raise ValueError(
                "`stacks` must have a function that makes a block, for each stack. "
                f"Received: stacks={self.stacks!r}"
            )
        for name, claim in self.claims.items():
            if name not in self.stacks or claim not in CLAIMS:
                raise ValueError(
                    f"`claims` must give, for names of stacks, one of {', '.join(map(repr, CLAIMS))}. "
                    f"Received: {name!r}: {claim!r}"
                )


def depth_of(card: Card) -> Depth | None:
    """The deep stacks of a layer, or None if it has none.

    Raises:
        TypeError: its module has no `DEPTH`.
    """
    return beside.declared(card, "depth", Depth)


def all_depths() -> Iterator[tuple[str, Depth | str]]:
    """Each layer that has deep stacks, by its name: the stacks, or why they cannot be loaded."""
    return beside.every(catalogue().values(), depth_of)


def demanded(card: Card) -> Depth:
    """The deep stacks of a layer.

    Raises:
        UsageError: it has none.
    """
    found = depth_of(card)
    if found is None:
        names = [name for name, _ in all_depths()]
        raise UsageError(
            f"The layer must have deep stacks: {', '.join(names) or 'no layer has any'}. "
            f"Received: {card.name!r}"
        )
    return found
