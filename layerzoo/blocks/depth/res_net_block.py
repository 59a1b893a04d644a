"""Deep stacks of `ResNetBlock`."""

from layerzoo.blocks.res_net_block import ResNetBlock
from layerzoo.cookbook.depth import WIDTH, Depth


def block(**settings):
    """A function that makes one block."""
    return lambda place, blocks: ResNetBlock(WIDTH, **settings)


DEPTH = Depth(
    says=(
        "The gradient at a block is added to what comes back through the branches above it, so that it does "
        "not vanish. If the last factor of each branch starts at zero, a block starts as its shortcut."
    ),
    source="arXiv:1603.05027, section 2; with zero_init arXiv:1706.02677, section 5.1",
    inputs="image",
    stacks={
        "default": block(),
        "preactivation=True": block(preactivation=True),
        "zero_init=True": block(zero_init=True),
    },
    claims={
        "default": "does not vanish",
        "preactivation=True": "does not vanish",
        "zero_init=True": "keeps its size",
    },
    limits="The papers halve height and width twice or more on the way. Here all blocks have the same size.",
)
