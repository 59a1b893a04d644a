"""The experiment of `Residual`: 64 layers deep, with and without the shortcut."""

import keras
from keras import layers

from layerzoo.cookbook.evidence import Evidence
from layerzoo.cookbook.evidence.tasks import accuracy, digits, trained
from layerzoo.residual.residual import Residual

DEPTH, WIDTH, EPOCHS = 64, 32, 6


def dense():
    """One layer of the stack."""
    return layers.Dense(WIDTH, activation="relu", kernel_initializer="he_normal")


STACKS = {
    'Residual, norm="pre"': lambda: Residual(dense(), norm="pre"),
    "Residual without norm": lambda: Residual(dense()),
    "the layers alone": dense,
}


def run(seed):
    """The accuracy of each stack."""
    images, test_images, labels, test_labels = digits(seed)

    def result(block):
        def make():
            stack = [block() for _ in range(DEPTH)]
            ends = [layers.Flatten(), layers.Dense(WIDTH)], [layers.Dense(10)]
            return keras.Sequential([keras.Input((8, 8, 1)), *ends[0], *stack, *ends[1]])

        model = trained(make, images, labels, seed, epochs=EPOCHS)
        return accuracy(model, test_images, test_labels)

    return {name: result(block) for name, block in STACKS.items()}


EVIDENCE = Evidence(
    claim="With shortcuts, a stack of many layers trains that does not train without them.",
    source="arXiv:1512.03385, figure 1 and table 2",
    task=(
        f"Handwritten digits of scikit-learn. {DEPTH} dense layers of {WIDTH} with ReLU and He's initial "
        f"weights, between two linear layers; {EPOCHS} epochs of Adam at 1e-3 in batches of 32."
    ),
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
