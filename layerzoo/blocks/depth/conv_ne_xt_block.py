"""Deep stacks of `ConvNeXtBlock`, of the first and of the second version."""

from layerzoo.blocks.conv_ne_xt_block import ConvNeXtBlock
from layerzoo.cookbook.depth import Depth


def first(place, blocks):
    """A block of the first version, with its factors per channel."""
    return ConvNeXtBlock(expansion=2)


def second(place, blocks):
    """A block of the second version."""
    return ConvNeXtBlock(expansion=2, global_response_norm=True, layer_scale=None)


DEPTH = Depth(
    says="With factors of 1e-6 at the end of its branch, each block starts near the identity.",
    source="arXiv:2201.03545, appendix A, after arXiv:2103.17239, section 2",
    inputs="image",
    stacks={"first version": first, "second version": second},
    claims={"first version": "keeps its size"},
    limits=(
        "The second paper says nothing of the gradient. The papers expand the channels four times, and draw "
        "the kernels from a narrower distribution."
    ),
)
