"""The experiment of `AttentionGate`: a digit to be marked among pieces of others."""

import keras
import numpy as np
from keras import layers

from layerzoo.channels.attention_gate import AttentionGate
from layerzoo.cookbook.evidence import Evidence
from layerzoo.cookbook.evidence.tasks import digits, trained

SIZE, PIECE, PIECES, EPOCHS, INK = 24, 4, 16, 15, 0.25
OURS, ALONE, ALIKE = "AttentionGate", "gated by its own inputs", "all ink and nothing else"


def cluttered(images, seed):
    """Each digit at a random place of a larger image, in which small pieces of other digits lie about.

    Returns:
        The images `(image, SIZE, SIZE, 1)`, and for each pixel whether it is the digit's ink.
    """
    generator = np.random.default_rng(seed)

    def paste(canvas, piece):
        y, x = generator.integers(SIZE - len(piece) + 1, size=2)
        place = canvas[y : y + len(piece), x : x + len(piece)]
        np.maximum(place, piece, out=place)

    clutter, targets = np.zeros((2, len(images), SIZE, SIZE, 1), "float32")
    for canvas, target, image in zip(clutter, targets, images, strict=True):
        for other in images[generator.integers(len(images), size=PIECES)]:
            y, x = generator.integers(8 - PIECE + 1, size=2)
            paste(canvas, other[y : y + PIECE, x : x + PIECE])
        paste(target, image)
    return np.maximum(clutter, targets), (targets > INK).astype("float32")


def u_net(coarser):
    """A small U-Net with a gate at its skip connection, and what is before and after the gate.

    Args:
        coarser: Whether the coarser features gate the skip connection, or its own ones.
    """

    def convolve(x, filters):
        x = layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
        return layers.Activation("silu")(layers.BatchNormalization(momentum=0.9)(x))

    inputs = keras.Input((SIZE, SIZE, 1))
    skip = convolve(inputs, 16)
    deeper = convolve(layers.MaxPooling2D()(skip), 32)
    deeper = convolve(layers.MaxPooling2D()(deeper), 32)
    gated = AttentionGate(8)(skip, gate=deeper if coarser else None)
    deeper = layers.UpSampling2D(4, interpolation="bilinear")(deeper)
    x = convolve(layers.Concatenate()([gated, deeper]), 16)
    return keras.Model(inputs, layers.Dense(1)(x)), keras.Model(inputs, [skip, gated])


def run(seed):
    """The mean weight of the digit's pixels, over the mean weight of all pixels."""
    images, test_images, _, _ = digits(seed)
    images, marks = cluttered(images, [seed, 0])
    test_images, test_marks = cluttered(test_images, [seed, 1])

    def focus(weights):
        return float(np.mean(weights[test_marks[..., 0] > 0]) / np.mean(weights))

    def result(coarser):
        gates = []

        def make():
            model, gate = u_net(coarser)
            gates.append(gate)
            return model

        loss = keras.losses.BinaryCrossentropy(from_logits=True)
        trained(make, images, marks, seed, epochs=EPOCHS, learning_rate=3e-3, loss=loss)
        before, after = gates[0].predict(test_images, verbose=0)
        return focus(np.linalg.norm(after, axis=-1) / np.linalg.norm(before, axis=-1))

    return {
        OURS: result(coarser=True),
        ALONE: result(coarser=False),
        ALIKE: focus((test_images > INK)[..., 0]),
    }


EVIDENCE = Evidence(
    claim="Trained to segment, it learns by itself to suppress what does not belong to the target.",
    source="arXiv:1804.03999, abstract",
    task=(
        f"Handwritten digits of scikit-learn, each at a random place of an image of {SIZE} by {SIZE}, in "
        f"which {PIECES} pieces of other digits lie about, {PIECE} by {PIECE} pixels each: which pixels are "
        "the digit's ink? A U-Net with 16, 32 and 32 filters, batch norm and SiLU, and one skip connection, "
        f"which the coarsest features gate; {EPOCHS} epochs of Adam at 3e-3 in batches of 32. The loss knows "
        "nothing of the gate's weights. It is compared with a gate that sees the skip connection alone, and "
        "with weights of one on all ink, the digit's and the clutter's, and zero elsewhere."
    ),
    run=run,
    metric="weight of the digit's pixels, over the mean weight",
    holds={
        "the digit's pixels have at least 3 times the mean weight": lambda found: found[OURS] >= 3,
        "which is more than without the coarser features": lambda found: found[OURS] > found[ALONE],
    },
    limits=(
        "This is where the gate looks, not whether the segmentation gets better. The paper segments organs "
        "in volumes, with three gates and a Dice loss."
    ),
)
