"""A deep stack of `TemporalBlock`."""

from layerzoo.blocks.temporal_block import TemporalBlock
from layerzoo.cookbook.depth import WIDTH, Depth

DEPTH = Depth(
    says="A block learns what to change of its input, which benefits very deep networks.",
    source="arXiv:1803.01271, section 3.3",
    inputs="rows",
    stacks={
        "dilations 1, 2, 4": lambda place, blocks: TemporalBlock(WIDTH, 2, 2 ** (place % 3)),
    },
    claims={"dilations 1, 2, 4": "does not vanish"},
    limits=(
        "The paper normalises the weights and stacks 4 to 8 blocks. Without that, nothing holds the sums of "
        "64 blocks in size."
    ),
)
