"""The experiment of `ResNetBlock`: more and more blocks, with and without the shortcut."""

from keras import layers

from layerzoo.blocks.res_net_block import ResNetBlock
from layerzoo.cookbook.evidence import Evidence
from layerzoo.cookbook.evidence.tasks import convolutional_accuracy

DEPTHS, FILTERS, EPOCHS = (4, 12, 30), 16, 4
OURS, PLAIN = "ResNetBlock", "the same without the shortcut"


def plain():
    """The layers of a block, with nothing around them."""
    return [
        layer
        for _ in range(2)
        for layer in (
            layers.Conv2D(
                FILTERS, 3, padding="same", use_bias=False, kernel_initializer="he_normal"
            ),
            layers.BatchNormalization(momentum=0.9, epsilon=1e-5),
            layers.ReLU(),
        )
    ]


MODELS = {OURS: lambda: [ResNetBlock(FILTERS)], PLAIN: plain}


def run(seed):
    """The accuracy of each stack at each depth."""

    def result(block, depth):
        def blocks():
            return [layer for _ in range(depth) for layer in block()]

        return convolutional_accuracy(blocks, FILTERS, seed, epochs=EPOCHS)

    return {name: {d: result(block, d) for d in DEPTHS} for name, block in MODELS.items()}


EVIDENCE = Evidence(
    claim="Deeper stacks of convolutions get worse without shortcuts, and do not with them.",
    source="arXiv:1512.03385, figure 6 and table 6",
    task=(
        f"Handwritten digits of scikit-learn. Blocks of two convolutions with {FILTERS} filters and batch "
        f"norm; {EPOCHS} epochs of Adam at 1e-3 in batches of 32. Both stacks have the same weights."
    ),
    run=run,
    metric="accuracy on held-out digits",
    x="number of blocks",
    holds={
        "with shortcuts, 0.9 of the digits or more are read at every depth": lambda found: (
            min(found[OURS].values()) >= 0.9
        ),
        "without shortcuts, at least 0.2 less at 30 blocks": lambda found: (
            found[PLAIN][30] <= found[OURS][30] - 0.2
        ),
    },
    limits=(
        "The paper trains networks of 20 to 110 layers for 64,000 steps on CIFAR-10. Its plain ones get "
        "worse by a few points up to 56 layers, and do not train at 110."
    ),
)
