"""What is known about a broken layer."""

from dataclasses import dataclass

from layerzoo.catalogue import Card


@dataclass(frozen=True)
class Broken:
    """A broken layer.

    Attributes:
        card: Its card, with the claims that it breaks.
        kill: The id of the property that must detect the defect.
        raises: Whether the defect shows as an error from Keras or Python instead of a wrong number.
        sound_on: Backends on which the same code has no defect.
    """

    card: Card
    kill: str
    raises: bool = False
    sound_on: tuple[str, ...] = ()
