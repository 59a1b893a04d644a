"""Deep stacks of `HyperConnections` around a norm and a feed-forward network."""

from keras import layers

from layerzoo.cookbook.depth import Depth
from layerzoo.residual.depth.residual import feed_forward
from layerzoo.residual.hyper_connections import HyperConnections


def block(place, blocks, **settings):
    """One block; the first makes four streams, and the last joins them."""
    branch = [layers.LayerNormalization(), *feed_forward()]
    return HyperConnections(branch, 4, enter=place == 0, leave=place == blocks - 1, **settings)


DEPTH = Depth(
    says=(
        "The streams start as a pre-norm residual connection; mixed by a doubly stochastic matrix, they keep "
        "the size of the signal on its way back."
    ),
    source="arXiv:2512.24880, section 4; arXiv:2409.19606, section 2",
    stacks={
        "constrained": block,
        "constrained=False": lambda place, blocks: block(place, blocks, constrained=False),
    },
    claims={"constrained": "keeps its size", "constrained=False": "keeps its size"},
    limits=(
        "The first block gives four streams, and the last a single output. A gradient that is spread over "
        "four equal streams has half the norm, so that 0.5 is the value of a perfect shortcut. What the "
        "constraint is for shows only once the mixing is learned, which takes more than 20 steps."
    ),
)
