"""The experiment of `Highway`: 32 layers deep, with and without gates."""

from layerzoo.cookbook.evidence import Evidence
from layerzoo.cookbook.evidence.tasks import NARROW, deep_accuracy, deep_dense
from layerzoo.gated.highway import Highway

DEPTH, EPOCHS = 32, 12
HIGHWAY, OPEN, PLAIN = "Highway", "Highway, gate_bias=0", "dense layers"
STACKS = {
    HIGHWAY: lambda: Highway(kernel_initializer="he_normal"),
    OPEN: lambda: Highway(gate_bias=0.0, kernel_initializer="he_normal"),
    PLAIN: deep_dense,
}


def run(seed):
    """The accuracy of each stack."""
    return {name: deep_accuracy(block, seed, DEPTH, EPOCHS) for name, block in STACKS.items()}


EVIDENCE = Evidence(
    claim="A deep stack of dense layers trains with gates that carry the inputs, and stalls without them.",
    source="arXiv:1505.00387, figure 1",
    task=(
        f"Handwritten digits of scikit-learn. {DEPTH} layers of {NARROW} with ReLU and He's initial weights, "
        f"between two linear layers; {EPOCHS} epochs of Adam at 1e-3 in batches of 32."
    ),
    run=run,
    metric="accuracy on held-out digits",
    holds={
        "with gates, 0.85 of the digits or more are read": lambda found: found[HIGHWAY] >= 0.85,
        "without gates, at least 0.3 less": lambda found: found[PLAIN] <= found[HIGHWAY] - 0.3,
    },
    limits=(
        "A highway layer has twice the weights of a dense layer. The paper trains stacks of up to 100 layers "
        "on MNIST for 400 epochs by momentum, and searches the best bias of the gate for each depth. "
        "This was tried with 6 epochs first. The highway layers were still learning then, at 0.72 to 0.87."
    ),
)
