"""A deep stack of pre-norm blocks whose branches end in a `LayerScale`."""

from layerzoo.cookbook.depth import Depth
from layerzoo.residual.depth.residual import feed_forward
from layerzoo.residual.layer_scale import LayerScale
from layerzoo.residual.residual import Residual

DEPTH = Depth(
    says="With small factors at the end of its branch, each block starts near the identity.",
    source="arXiv:2103.17239, section 2",
    stacks={
        "LayerScale(1e-6)": lambda place, blocks: Residual(
            [*feed_forward(), LayerScale(1e-6)], norm="pre"
        )
    },
    claims={"LayerScale(1e-6)": "keeps its size"},
)
