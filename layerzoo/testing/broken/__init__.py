"""The broken zoo: layers with one defect each, and the property that names it.

A kit that cannot fail proves nothing. Each module has a sound layer of some kind and classes one to
three lines away from it; `BROKEN` says which property must kill each of them. Not for use.
"""

from layerzoo.testing.broken import attention, convolution, dense, recurrent, several, wrapper
from layerzoo.testing.broken.entry import Broken

MODULES = (dense, attention, convolution, recurrent, several, wrapper)

SOUND = tuple(card for module in MODULES for card in module.SOUND)
"""Controls: correct layers, which no property may accuse."""

BROKEN = tuple(entry for module in MODULES for entry in module.BROKEN)

__all__ = ["BROKEN", "SOUND", "Broken"]
