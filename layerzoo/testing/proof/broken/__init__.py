"""The broken zoo: layers with one defect each, and the property that must detect it.

A kit that cannot fail proves nothing. Each module has a few sound layers and subclasses that differ from
them in one to three lines. `BROKEN` says which property must kill each of these. Do not use them.
"""

from layerzoo.testing.proof.broken import (
    attention,
    composite,
    convolution,
    dense,
    recurrent,
    several,
    start,
    states,
    training,
    wrapper,
)
from layerzoo.testing.proof.broken.entry import Broken

MODULES = (
    dense,
    attention,
    convolution,
    recurrent,
    several,
    start,
    states,
    training,
    wrapper,
    composite,
)

SOUND = tuple(card for module in MODULES for card in module.SOUND)
"""Controls: correct layers, on which no property may fail."""

BROKEN = tuple(entry for module in MODULES for entry in module.BROKEN)

__all__ = ["BROKEN", "SOUND", "Broken"]
