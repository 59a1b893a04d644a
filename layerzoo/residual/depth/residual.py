"""Deep stacks of `Residual`, by the place of the norm, around a feed-forward network and a dense layer."""

from keras import layers

from layerzoo.cookbook.depth import WIDTH, Depth
from layerzoo.cookbook.evidence.tasks import deep_dense
from layerzoo.residual.residual import Residual


def feed_forward():
    """The feed-forward network of a transformer, which ends in a linear layer."""
    return [layers.Dense(2 * WIDTH, activation="relu"), layers.Dense(WIDTH)]


def around(branch, norm):
    """A function that makes one block."""
    return lambda place, blocks: Residual(branch(), norm=norm)


DEPTH = Depth(
    says=(
        "With the norm before the branch, the gradient keeps its size on its way down; with the norm after "
        "the sum, it shrinks from block to block. Without a norm, a shortcut at least lets it not vanish."
    ),
    source="arXiv:2002.04745, section 3; without a norm arXiv:1603.05027, section 2",
    stacks={
        'norm="pre"': around(feed_forward, "pre"),
        'norm="post"': around(feed_forward, "post"),
        "no norm": around(feed_forward, None),
        'norm="pre", ReLU last': around(deep_dense, "pre"),
        'norm="post", ReLU last': around(deep_dense, "post"),
        "no norm, ReLU last": around(deep_dense, None),
    },
    claims={
        'norm="pre"': "keeps its size",
        'norm="post"': "shrinks",
        "no norm": "does not vanish",
        'norm="pre", ReLU last': "keeps its size",
        'norm="post", ReLU last': "shrinks",
        "no norm, ReLU last": "does not vanish",
    },
    limits=(
        "The papers stack attention and convolutions too. *ReLU last* is a branch of one dense layer with "
        "ReLU. Its outputs are never negative, so that their sums grow faster with depth."
    ),
)
