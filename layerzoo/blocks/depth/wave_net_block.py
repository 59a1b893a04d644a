"""A deep stack of `WaveNetBlock`."""

from layerzoo.blocks.wave_net_block import WaveNetBlock
from layerzoo.cookbook.depth import WIDTH, Depth

DEPTH = Depth(
    says="Residual connections speed up convergence and enable training of much deeper models.",
    source="arXiv:1609.03499, section 2.4",
    inputs="rows",
    stacks={
        "dilations 1, 2, 4": lambda place, blocks: WaveNetBlock(WIDTH, 2, 2 ** (place % 3)),
    },
    claims={"dilations 1, 2, 4": "does not vanish"},
    limits="The paper sums skip connections of all blocks. Here the head reads the last block alone.",
)
