"""What is known of a broken layer."""

from dataclasses import dataclass

from layerzoo.catalogue import Card


@dataclass(frozen=True)
class Broken:
    """A broken layer.

    Attributes:
        card: Its card, with the claims that it does not keep.
        kill: The id of the property that names the defect.
        raises: Whether the defect shows as an error of Keras's or Python's, not as a wrong number.
        sound_on: Backends on which the same code has no defect.
    """

    card: Card
    kill: str
    raises: bool = False
    sound_on: tuple[str, ...] = ()
