"""The experiment of `BottleneckBlock`: two full convolutions with as many channels, or as many weights."""

from layerzoo.blocks.bottleneck_block import BottleneckBlock
from layerzoo.blocks.res_net_block import ResNetBlock
from layerzoo.cookbook.evidence import Evidence
from layerzoo.cookbook.evidence.tasks import convolutional_accuracy, weights_of

WIDE, NARROW, DEPTH, FEW, EPOCHS = 64, 16, 4, 400, 30
OURS, WEIGHTS = "BottleneckBlock(64)", weights_of(BottleneckBlock(WIDE), WIDE)
FULL, FULL_WEIGHTS = "ResNetBlock(64)", weights_of(ResNetBlock(WIDE), WIDE)
THIN, THIN_WEIGHTS = "ResNetBlock(16)", weights_of(ResNetBlock(NARROW), NARROW)
MODELS = {
    OURS: (BottleneckBlock, WIDE),
    FULL: (ResNetBlock, WIDE),
    THIN: (ResNetBlock, NARROW),
}


def run(seed):
    """The accuracy of each stack."""

    def result(block, filters):
        def blocks():
            return [block(filters) for _ in range(DEPTH)]

        return convolutional_accuracy(blocks, filters, seed, FEW, epochs=EPOCHS)

    return {name: result(*model) for name, model in MODELS.items()}


EVIDENCE = Evidence(
    claim="With a fraction of the weights of two full convolutions, a bottleneck block is as good.",
    source="arXiv:1512.03385, section 4.1 and figure 5",
    task=(
        f"{FEW} handwritten digits of scikit-learn. A convolution, {DEPTH} blocks that keep their number of "
        f"channels, and the mean over all pixels; {EPOCHS} epochs of Adam at 1e-3 in batches of 32. A block "
        f"has {WEIGHTS:,} weights in the bottleneck, {FULL_WEIGHTS:,} in two full convolutions of as many "
        f"channels, and {THIN_WEIGHTS:,} in two of {NARROW} channels."
    ),
    run=run,
    metric="accuracy on held-out digits",
    holds={
        "full convolutions of as many channels have at least 15 times the weights": lambda found: (
            FULL_WEIGHTS >= 15 * WEIGHTS
        ),
        "and read at most 0.02 more of the digits": lambda found: found[OURS] >= found[FULL] - 0.02,
        "full convolutions of as many weights do not read more": lambda found: (
            found[THIN] <= found[OURS]
        ),
    },
    limits=(
        "The paper compares blocks of equal cost, 256 channels against 64, in networks of 34 to 152 layers "
        "on ImageNet, where those of bottlenecks are deeper too."
    ),
)
