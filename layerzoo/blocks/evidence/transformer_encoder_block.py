"""The experiment of `TransformerEncoderBlock`: the norm first or last, in deeper and deeper stacks."""

import keras
from keras import layers

from layerzoo.blocks.transformer_encoder_block import TransformerEncoderBlock
from layerzoo.cookbook.evidence import Evidence
from layerzoo.cookbook.evidence.tasks import accuracy, digits, trained

DEPTHS, WIDTH, EPOCHS, RATE = (2, 6, 18), 32, 5, 3e-3
FIRST, LAST = "norm_first=True", "norm_first=False"
MODELS = {FIRST: True, LAST: False}


def run(seed):
    """The accuracy of each stack at each depth."""
    images, test_images, labels, test_labels = digits(seed)

    def result(norm_first, depth):
        def make():
            blocks = [
                TransformerEncoderBlock(4, 2 * WIDTH, norm_first=norm_first) for _ in range(depth)
            ]
            ends = [layers.Dense(WIDTH)], [layers.LayerNormalization(), layers.Flatten()]
            start = [keras.Input((8, 8, 1)), layers.Reshape((8, 8))]
            return keras.Sequential([*start, *ends[0], *blocks, *ends[1], layers.Dense(10)])

        model = trained(make, images, labels, seed, epochs=EPOCHS, learning_rate=RATE)
        return accuracy(model, test_images, test_labels)

    return {name: {d: result(first, d) for d in DEPTHS} for name, first in MODELS.items()}


EVIDENCE = Evidence(
    claim="With the norms first, a deep stack trains without warm-up; with the norms last, it does not.",
    source="arXiv:2002.04745, abstract",
    task=(
        "Handwritten digits of scikit-learn as sequences of 8 rows. Blocks with 4 heads and width "
        f"{WIDTH} between two dense layers; {EPOCHS} epochs of Adam in batches of 32, at a learning rate of "
        f"{RATE:g} from the first step on."
    ),
    run=run,
    metric="accuracy on held-out digits",
    x="number of blocks",
    holds={
        "with the norms first, 0.85 of the digits or more are read at every depth": lambda found: (
            min(found[FIRST].values()) >= 0.85
        ),
        "with the norms last, at least 0.3 less at 18 blocks": lambda found: (
            found[LAST][18] <= found[FIRST][18] - 0.3
        ),
    },
    limits="The paper trains on translations and BERT's task. There, post-norm trains with a warm-up.",
)
