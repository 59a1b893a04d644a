"""Deep stacks of `TransformerDecoderBlock` without a context, with the norms first or last."""

from layerzoo.blocks.transformer_decoder_block import TransformerDecoderBlock
from layerzoo.cookbook.depth import WIDTH, Depth


def block(norm_first):
    """A function that makes one block with 4 heads."""
    return lambda place, blocks: TransformerDecoderBlock(4, 2 * WIDTH, norm_first=norm_first)


DEPTH = Depth(
    says=(
        "With the norms first, the gradient keeps its size on its way down; with the norms last, it is "
        "large near the output and shrinks from block to block."
    ),
    source="arXiv:2002.04745, section 3 and figure 3",
    inputs="rows",
    stacks={"norm_first=True": block(True), "norm_first=False": block(False)},
    claims={"norm_first=True": "keeps its size", "norm_first=False": "shrinks"},
    limits="The paper's decoder also reads a context. Here each step attends to the steps before it.",
)
