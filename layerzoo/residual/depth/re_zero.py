"""A deep stack of `ReZero` around dense layers."""

from layerzoo.cookbook.depth import Depth
from layerzoo.cookbook.evidence.tasks import deep_dense
from layerzoo.residual.re_zero import ReZero

DEPTH = Depth(
    says="Each block starts as the identity, so that the gradient passes through all of them unchanged.",
    source="arXiv:2003.04887, section 3",
    stacks={"ReZero": lambda place, blocks: ReZero(deep_dense())},
    claims={"ReZero": "keeps its size"},
)
