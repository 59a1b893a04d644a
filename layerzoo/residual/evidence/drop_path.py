"""The experiment of `DropPath`: a deep stack on few digits, with and without dropped branches."""

import keras
from keras import layers

from layerzoo.cookbook.evidence import Evidence
from layerzoo.cookbook.evidence.tasks import accuracy, digits, trained
from layerzoo.residual.residual import Residual

DEPTH, WIDTH, EPOCHS, FEW = 24, 64, 40, 300
RATES = {"drop_path up to 0.5": 0.5, "drop_path=0": 0.0}


def run(seed):
    """The error of each stack."""
    images, test_images, labels, test_labels = digits(seed)

    def error(rate):
        def make():
            stack = [
                Residual(
                    [layers.Dense(WIDTH, activation="relu"), layers.Dense(WIDTH)],
                    norm="pre",
                    drop_path=rate * (place + 1) / DEPTH,
                    seed=seed,
                )
                for place in range(DEPTH)
            ]
            start = [keras.Input((8, 8, 1)), layers.Flatten(), layers.Dense(WIDTH)]
            return keras.Sequential([*start, *stack, layers.LayerNormalization(), layers.Dense(10)])

        model = trained(make, images[:FEW], labels[:FEW], seed, epochs=EPOCHS)
        return 1 - accuracy(model, test_images, test_labels)

    return {name: error(rate) for name, rate in RATES.items()}


EVIDENCE = Evidence(
    claim="Dropping whole branches at random while training lowers the error of a deep network.",
    source="arXiv:1603.09382, table 1",
    task=(
        f"{FEW} handwritten digits of scikit-learn. {DEPTH} pre-norm residual blocks of two dense layers of "
        f"{WIDTH}; {EPOCHS} epochs of Adam at 1e-3 in batches of 32. The rate grows linearly with depth, "
        "as in the paper."
    ),
    run=run,
    metric="share of held-out digits misread",
    better="lower",
    seeds=(0, 1, 2, 3, 4),
    holds={
        "with drop_path, fewer digits are misread": lambda found: (
            found["drop_path up to 0.5"] < found["drop_path=0"]
        ),
    },
    limits="The paper trains convolutional networks of 110 layers for 500 epochs.",
)
