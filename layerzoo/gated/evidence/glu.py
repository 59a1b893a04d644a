"""The experiment of `GLU`: a causal convolutional model of text, with three kinds of units."""

import keras
import numpy as np
from keras import layers, ops

from layerzoo.cookbook.evidence import Evidence
from layerzoo.cookbook.evidence.tasks import TEXT, character_model, cross_entropy, windows
from layerzoo.gated.glu import GLU
from layerzoo.residual.residual import Residual

WIDTH, WIDER, KERNEL, LAYERS, BORDER, EVERY, MOST = 64, 90, 4, 4, 2.0, 10, 1500
GATED, TANH, PLAIN = "GLU", "GTU, with tanh", "ReLU"


class LastSteps(layers.Layer):
    """The features of the last steps side by side: with a dense layer, a causal convolution."""

    def call(self, inputs):
        """Put them side by side."""
        padded = ops.pad(inputs, ((0, 0), (KERNEL - 1, 0), (0, 0)))
        steps = ops.shape(inputs)[1]
        return ops.concatenate([padded[:, i : i + steps] for i in range(KERNEL)], axis=-1)


class GTU(layers.Layer):
    """The gated tanh unit: as `GLU`, but with a tanh of the value."""

    def build(self, input_shape):
        """Make the projection."""
        self.project = layers.Dense(2 * WIDTH)
        self.project.build(input_shape)

    def call(self, inputs):
        """Project and gate."""
        value, gate = ops.split(self.project(inputs), 2, axis=-1)
        return ops.tanh(value) * ops.sigmoid(gate)


UNITS = {
    GATED: (WIDTH, lambda: GLU(WIDTH)),
    TANH: (WIDTH, GTU),
    PLAIN: (WIDER, lambda: layers.Dense(WIDER, activation="relu")),
}


def steps_to_the_border(width, unit, seed):
    """After how many steps of training the loss on held-out text is below the border."""
    pieces, following = windows(64, 32 * MOST, seed)
    test = windows(64, 64, seed, held_out=True)
    keras.utils.set_random_seed(seed)
    model = character_model([Residual([LastSteps(), unit()]) for _ in range(LAYERS)], width)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(1e-3), loss)
    for steps in range(EVERY, MOST + 1, EVERY):
        part = slice(32 * (steps - EVERY), 32 * steps)
        model.fit(pieces[part], following[part], batch_size=32, verbose=0)
        if cross_entropy(model, *test) < BORDER:
            return steps
    return np.inf


def run(seed):
    """The steps of each model."""
    return {name: steps_to_the_border(*unit, seed) for name, unit in UNITS.items()}


EVIDENCE = Evidence(
    claim="Gated linear units converge in fewer steps than gated tanh units and than ReLU.",
    source="arXiv:1612.08083, figure 3",
    task=(
        f"{TEXT} {LAYERS} causal convolutions over {KERNEL} characters in residual connections. Each has "
        f"{WIDTH} gated units, or {WIDER} with ReLU, so that a layer of each kind has about as many weights; "
        f"Adam at 1e-3 on 32 pieces of 64 characters, until the loss on held-out text, which is measured "
        f"every {EVERY} steps, is below {BORDER} nats."
    ),
    run=run,
    metric="steps of training to that loss",
    better="lower",
    holds={
        "GLU needs 0.85 of the steps of GTU or fewer": lambda found: (
            found[GATED] <= 0.85 * found[TANH]
        ),
        "GLU needs 0.85 of the steps of ReLU or fewer": lambda found: (
            found[GATED] <= 0.85 * found[PLAIN]
        ),
    },
    limits="The paper trains language models of words, with 8 layers and more, for days.",
)
