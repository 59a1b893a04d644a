"""The experiment of `InvertedResidual`: an activation on its narrow output, and full convolutions."""

from keras import layers

from layerzoo.blocks.inverted_residual import InvertedResidual
from layerzoo.cookbook.evidence import Evidence
from layerzoo.cookbook.evidence.tasks import convolutional_accuracy, weights_of
from layerzoo.residual.residual import Residual

FILTERS, EXPANSION, DEPTH, EPOCHS = 12, 6, 6, 5
OURS, BENT, FULL = "InvertedResidual", "ReLU6 on its output", "full convolutions"


def full():
    """A block whose 3x3 convolution reads all of the wide channels, instead of each by itself."""

    def convolution(filters, size):
        return layers.Conv2D(
            filters, size, padding="same", use_bias=False, kernel_initializer="he_normal"
        )

    def norm():
        return layers.BatchNormalization(momentum=0.9, epsilon=1e-5)

    expand = [convolution(EXPANSION * FILTERS, 1), norm(), layers.ReLU(6)]
    return Residual([*expand, convolution(FILTERS, 3), norm()])


MODELS = {
    OURS: lambda: [InvertedResidual(FILTERS, EXPANSION)],
    BENT: lambda: [InvertedResidual(FILTERS, EXPANSION), layers.ReLU(6)],
    FULL: lambda: [full()],
}
COST = weights_of(InvertedResidual(FILTERS, EXPANSION), FILTERS, kernels=True)
FULL_COST = weights_of(full(), FILTERS, kernels=True)


def run(seed):
    """The accuracy of each stack."""

    def result(block):
        def blocks():
            return [layer for _ in range(DEPTH) for layer in block()]

        return convolutional_accuracy(blocks, FILTERS, seed, epochs=EPOCHS)

    return {name: result(block) for name, block in MODELS.items()}


EVIDENCE = Evidence(
    claim=(
        "Filtering each wide channel by itself saves most multiplications, and the narrow output is better "
        "without an activation."
    ),
    source="arXiv:1801.04381, sections 3.1 and 3.2 and figure 6a",
    task=(
        f"Handwritten digits of scikit-learn. A convolution, {DEPTH} blocks of {FILTERS} channels that are "
        f"expanded {EXPANSION} times, and the mean over all pixels; {EPOCHS} epochs of Adam at 1e-3 in "
        f"batches of 32. A block takes {COST:,} multiplications a pixel. With a full convolution from the "
        f"wide channels to the narrow ones, it takes {FULL_COST:,}."
    ),
    run=run,
    metric="accuracy on held-out digits",
    holds={
        "with ReLU6 on the output, fewer digits are read": lambda found: found[BENT] < found[OURS],
        "full convolutions take at least 3 times the multiplications": lambda found: (
            FULL_COST >= 3 * COST
        ),
        "and read at most 0.02 more of the digits": lambda found: found[OURS] >= found[FULL] - 0.02,
    },
    limits=(
        "The paper trains networks of 17 blocks on ImageNet. Its factor of 8 to 9 is that of the convolution "
        "alone, with many channels: here the whole block counts, and the channels are few."
    ),
)
