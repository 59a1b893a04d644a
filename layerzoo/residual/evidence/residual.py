"""The experiment of `Residual`: 64 layers deep, with and without the shortcut."""

from layerzoo.cookbook.evidence import Evidence
from layerzoo.cookbook.evidence.tasks import DEEP, deep_accuracy, deep_dense
from layerzoo.residual.residual import Residual

STACKS = {
    'Residual, norm="pre"': lambda: Residual(deep_dense(), norm="pre"),
    "Residual without norm": lambda: Residual(deep_dense()),
    "the layers alone": deep_dense,
}


def run(seed):
    """The accuracy of each stack."""
    return {name: deep_accuracy(block, seed) for name, block in STACKS.items()}


EVIDENCE = Evidence(
    claim="With shortcuts, a stack of many layers trains that does not train without them.",
    source="arXiv:1512.03385, figure 1 and table 2",
    task=DEEP,
    run=run,
    metric="accuracy on held-out digits",
    holds={
        'with shortcuts and `norm="pre"`, 0.85 of the digits or more are read': lambda found: (
            found['Residual, norm="pre"'] >= 0.85
        ),
        "without shortcuts, at least 0.3 less": lambda found: (
            found["the layers alone"] <= found['Residual, norm="pre"'] - 0.3
        ),
    },
    limits=(
        "The paper's layers are convolutions with batch norm. Here the sum alone is not enough: without a "
        "norm, the outputs of 64 layers add up, and training fails."
    ),
)
