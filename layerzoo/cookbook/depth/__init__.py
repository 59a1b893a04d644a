"""Blocks stacked deep: whether they train, and what is left of the gradient at the first of them.

A layer's stacks are declared beside it, in `depth/<layer>.py`.
"""

from layerzoo.cookbook.depth.declared import Depth, all_depths, demanded, depth_of
from layerzoo.cookbook.depth.plot import curves, plot
from layerzoo.cookbook.depth.running import WIDTH, measure

__all__ = [
    "WIDTH",
    "Depth",
    "all_depths",
    "curves",
    "demanded",
    "depth_of",
    "measure",
    "plot",
]
