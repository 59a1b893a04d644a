"""The experiment of `HyperConnections`: what 64 mixing matrices do to a signal after training."""

import keras
import numpy as np
from keras import layers, ops

from layerzoo.cookbook.evidence import Evidence
from layerzoo.cookbook.evidence.tasks import digits, trained
from layerzoo.ops.streams import flat_and_normalized, mixing
from layerzoo.residual.hyper_connections import HyperConnections

STREAMS, WIDTH, EPOCHS, RATE, DEPTHS = 4, 32, 3, 1e-2, (8, 16, 32, 64)
BLOCKS = DEPTHS[-1]
OURS, FREE = "constrained=True", "constrained=False"
MODELS = {OURS: True, FREE: False}


def run(seed):
    """The gain of the first matrices of each stack."""
    images, test_images, labels, _ = digits(seed)

    def result(constrained):
        def make():
            stack = [
                HyperConnections(
                    [layers.LayerNormalization(), layers.Dense(WIDTH, activation="relu")],
                    STREAMS,
                    constrained,
                    enter=place == 0,
                    leave=place == BLOCKS - 1,
                )
                for place in range(BLOCKS)
            ]
            start = [keras.Input((8, 8, 1)), layers.Flatten(), layers.Dense(WIDTH)]
            return keras.Sequential([*start, *stack, layers.LayerNormalization(), layers.Dense(10)])

        model = trained(make, images, labels, seed, epochs=EPOCHS, learning_rate=RATE)
        return gains(model, test_images)

    return {name: result(constrained) for name, constrained in MODELS.items()}


def gains(model, images):
    """How much the first mixing matrices amplify a signal together, by their number.

    The gain of a product of matrices is the largest sum of absolute values in a row or a column: forwards
    and backwards, no stream grows by more. It is averaged over the images.
    """
    x, product = ops.convert_to_tensor(images), np.eye(STREAMS)
    found: dict[int, float] = {}
    for layer in model.layers:
        if isinstance(layer, HyperConnections):
            product = product @ mixed_by(layer, x)
            found[len(found) + 1] = float(np.mean(gain(product)))
        x = layer(x)
    return {depth: found[depth] for depth in DEPTHS}


def mixed_by(layer, x):
    """The matrix by which a block mixes the streams of each sample."""
    streams = ops.stack([x] * STREAMS, axis=-2) if layer.enter else x
    scores = layer.project(flat_and_normalized(streams, layer.epsilon))
    _, _, mix = mixing(scores, layer.scales, layer.offsets, STREAMS, layer.constrained)
    return ops.convert_to_numpy(mix).astype("float64")


def gain(matrices):
    """The largest sum of absolute values in a row or a column of each matrix."""
    size = np.abs(matrices)
    return np.maximum(size.sum(-1).max(-1), size.sum(-2).max(-1))


EVIDENCE = Evidence(
    claim="Mixing matrices that are doubly stochastic amplify no signal, however many follow each other.",
    source="arXiv:2512.24880, figures 3 and 7",
    task=(
        f"Handwritten digits of scikit-learn. {BLOCKS} blocks of a layer norm and a dense layer of {WIDTH} "
        f"with ReLU, in {STREAMS} streams; {EPOCHS} epochs of Adam at {RATE:g} in batches of 32. Then the "
        "matrices that mix the streams of a held-out digit are multiplied, from the first block on. The gain "
        "is the largest sum of absolute values in a row or a column of the product; its mean over the digits "
        "counts."
    ),
    run=run,
    metric="gain of the product of the mixing matrices",
    better="lower",
    x="number of blocks",
    holds={
        "constrained, the gain of 64 blocks is 2 or less": lambda found: found[OURS][64] <= 2,
        "unconstrained, it is more than 50": lambda found: found[FREE][64] > 50,
    },
    limits=(
        "The paper trains language models of 27 billion weights, and finds gains of up to 3,000 and 1.6. The "
        "unconstrained form reads all streams of a step at once, as the constrained one does."
    ),
)
