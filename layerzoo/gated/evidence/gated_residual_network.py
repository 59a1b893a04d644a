"""The experiment of `GatedResidualNetwork`: one target that needs no nonlinearity, and one that does."""

import keras
import numpy as np
from keras import layers, ops

from layerzoo.cookbook.evidence import Evidence
from layerzoo.cookbook.evidence.tasks import trained
from layerzoo.gated.gated_residual_network import GatedResidualNetwork

FEATURES, WIDTH, SAMPLES, EPOCHS, DROPOUT = 8, 16, 4096, 30, 0.3
TARGETS = {
    "linear": lambda x: x[:, :1] - x[:, 1:2],
    "XOR-like": lambda x: 3 * x[:, :1] * x[:, 1:2],
}


def run(seed):
    """The mean gate and the mean size of what passes it, for each target."""
    generator = np.random.default_rng(seed)
    x, new = generator.uniform(-1, 1, (2, SAMPLES, FEATURES)).astype("float32")
    found = {}
    for name, target in TARGETS.items():
        model = trained(
            make, x, target(x), seed, epochs=EPOCHS, batch_size=64, learning_rate=3e-3, loss="mse"
        )
        gate, branch = inside(model.layers[1], model.layers[0](new))
        found[f"gate, {name} target"] = gate
        found[f"branch, {name} target"] = branch
    return found


def make():
    """A linear layer, the network and a linear layer."""
    return keras.Sequential(
        [
            keras.Input((FEATURES,)),
            layers.Dense(WIDTH),
            GatedResidualNetwork(WIDTH, dropout=DROPOUT),
            layers.Dense(1),
        ]
    )


def inside(network, x):
    """The mean of the gate, and the mean size of the gated branch."""
    hidden = network.project_hidden(ops.elu(network.project_inputs(x)))
    gate = ops.sigmoid(network.gate(hidden))
    return float(ops.mean(gate)), float(ops.mean(ops.abs(gate * network.value(hidden))))


EVIDENCE = Evidence(
    claim="The gate closes where no nonlinear processing is needed.",
    source="arXiv:1912.09363, section 4.1",
    task=(
        f"{SAMPLES:,} samples of {FEATURES} uniform features, and a target that is the difference of two of "
        f"them or their product. A dense layer of {WIDTH}, the network with a dropout of {DROPOUT} and a "
        f"dense layer; {EPOCHS} epochs of Adam at 3e-3 in batches of 64. The branch is the product of gate "
        "and value, and its number is the mean of its size, on new samples."
    ),
    run=run,
    metric="mean gate, and mean size of the branch",
    better="lower",
    holds={
        "the gate is half as open or less if the target is linear": lambda found: (
            found["gate, linear target"] <= 0.5 * found["gate, XOR-like target"]
        ),
        "half as much passes it or less": lambda found: (
            found["branch, linear target"] <= 0.5 * found["branch, XOR-like target"]
        ),
    },
    limits="The paper says that the layer can do so, and shows no gates.",
)
