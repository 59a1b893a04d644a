"""A deep stack of `InvertedResidual`."""

from layerzoo.blocks.inverted_residual import InvertedResidual
from layerzoo.cookbook.depth import WIDTH, Depth

DEPTH = Depth(
    says="Shortcuts between the narrow ends of the blocks let a gradient pass through many blocks.",
    source="arXiv:1801.04381, section 3.3",
    inputs="image",
    stacks={"expansion=2": lambda place, blocks: InvertedResidual(WIDTH, expansion=2)},
    claims={"expansion=2": "does not vanish"},
    limits="The paper expands the channels six times. It is twice here, to save time.",
)
