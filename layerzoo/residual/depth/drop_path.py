"""A deep stack of pre-norm blocks with `DropPath`, whose rate grows with depth."""

from layerzoo.cookbook.depth import Depth
from layerzoo.residual.depth.residual import feed_forward
from layerzoo.residual.residual import Residual

DEPTH = Depth(
    says="Dropping branches while training leaves a shorter network, and strengthens the first gradients.",
    source="arXiv:1603.09382, section 5",
    stacks={
        "drop_path up to 0.5": lambda place, blocks: Residual(
            feed_forward(), norm="pre", drop_path=0.5 * (place + 1) / blocks, seed=place
        )
    },
    claims={"drop_path up to 0.5": "does not vanish"},
    limits="The paper's blocks have batch norm, and it drops a branch for all samples of a batch at once.",
)
