"""A learned number for each pair of a query and a key, which fits one length alone."""

from layerzoo import RelativePositionBias
from layerzoo.cookbook.peers.alibi_bias import LearnedPairs

INSTEAD = "a learned table of all pairs of steps, added"
WORK = [dict(b=8, n=8, t=128, s=128), dict(b=4, n=8, t=512, s=512)]


def layer(sizes):
    """Ours."""
    return RelativePositionBias()


def instead(sizes):
    """A learned table."""
    return LearnedPairs()
