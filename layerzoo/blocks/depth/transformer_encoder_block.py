"""Deep stacks of `TransformerEncoderBlock`, with the norms first or last."""

from layerzoo.blocks.transformer_encoder_block import TransformerEncoderBlock
from layerzoo.cookbook.depth import WIDTH, Depth


def block(norm_first):
    """A function that makes one block with 4 heads."""
    return lambda place, blocks: TransformerEncoderBlock(4, 2 * WIDTH, norm_first=norm_first)


DEPTH = Depth(
    says=(
        "With the norms first, the gradient keeps its size on its way down; with the norms last, it is "
        "large near the output and shrinks from block to block."
    ),
    source="arXiv:2002.04745, section 3 and figure 3",
    inputs="rows",
    stacks={"norm_first=True": block(True), "norm_first=False": block(False)},
    claims={"norm_first=True": "keeps its size", "norm_first=False": "shrinks"},
    limits=(
        "The paper looks at the gradient of weights at the start, in stacks of 6 blocks and more. "
        "According to arXiv:2004.08249, a vanishing gradient is not what makes post-norm hard to train."
    ),
)
