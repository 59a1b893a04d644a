"""The experiment of `ReZero`: 64 layers deep, without any norm."""

from layerzoo.cookbook.evidence import Evidence
from layerzoo.cookbook.evidence.tasks import DEEP, deep_accuracy, deep_dense
from layerzoo.residual.re_zero import ReZero
from layerzoo.residual.residual import Residual

STACKS = {
    "ReZero": lambda: ReZero(deep_dense()),
    'Residual, norm="pre"': lambda: Residual(deep_dense(), norm="pre"),
    "Residual without norm": lambda: Residual(deep_dense()),
    "the layers alone": deep_dense,
}


def run(seed):
    """The accuracy of each stack."""
    return {name: deep_accuracy(block, seed) for name, block in STACKS.items()}


EVIDENCE = Evidence(
    claim="A stack of many layers trains without norms and warm-up if each branch starts at zero.",
    source="arXiv:2003.04887, abstract",
    task=DEEP,
    run=run,
    metric="accuracy on held-out digits",
    holds={
        "with ReZero, 0.85 of the digits or more are read": lambda found: found["ReZero"] >= 0.85,
        "without shortcuts, at least 0.3 less": lambda found: (
            found["the layers alone"] <= found["ReZero"] - 0.3
        ),
        "with shortcuts that start at full strength and no norm, at least 0.3 less": lambda found: (
            found["Residual without norm"] <= found["ReZero"] - 0.3
        ),
    },
    limits="The paper trains 10,000 dense layers and transformers of 128 layers.",
)
