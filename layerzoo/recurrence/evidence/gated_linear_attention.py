"""The experiment of `GatedLinearAttention`: what was written before a reset is gone."""

import keras
import numpy as np
from keras import layers

from layerzoo.attention.linear_attention import LinearAttention
from layerzoo.cookbook.evidence import Evidence
from layerzoo.cookbook.evidence.tasks import accuracy, trained
from layerzoo.recurrence.gated_linear_attention import GatedLinearAttention

KEYS, VALUES, LENGTH, WIDTH, HEAD, STEPS = 8, 4, 24, 32, 16, 1000
OURS, FIXED, LINEAR = "GatedLinearAttention", "the same, decay learned but fixed", "LinearAttention"


def notes(count, seed):
    """Values written under keys, one reset among them, and at the end a key: what has it now?

    Returns:
        Inputs `(sample, LENGTH + 1, KEYS + VALUES + 1)`, and the last value of the key since the reset, or
        `VALUES` if there is none.
    """
    generator = np.random.default_rng(seed)
    keys = generator.integers(KEYS, size=(count, LENGTH + 1))
    values = generator.integers(VALUES, size=(count, LENGTH))
    reset = generator.integers(4, LENGTH - 4, size=count)
    inputs = np.zeros((count, LENGTH + 1, KEYS + VALUES + 1), "float32")
    inputs[:, :, :KEYS] = np.eye(KEYS)[keys]
    inputs[:, :-1, KEYS:-1] = np.eye(VALUES)[values]
    inputs[np.arange(count), reset] = np.eye(KEYS + VALUES + 1)[-1]

    answers = np.full(count, VALUES)
    for step in range(LENGTH):
        found = (keys[:, step] == keys[:, -1]) & (step > reset)
        answers[found] = values[found, step]
    return inputs, answers


def run(seed):
    """The accuracy of each model."""
    inputs, targets = notes(32 * STEPS, [seed, 0])
    test, answers = notes(1000, [seed, 1])

    def found(attention):
        def make():
            return keras.Sequential(
                [
                    keras.Input(inputs.shape[1:]),
                    layers.Dense(WIDTH),
                    attention(),
                    layers.Lambda(lambda x: x[:, -1]),
                    layers.Dense(VALUES + 1),
                ]
            )

        return accuracy(trained(make, inputs, targets, seed, learning_rate=3e-3), test, answers)

    def gated():
        return GatedLinearAttention(1, HEAD, HEAD, gate_normalizer=1.0)

    def fixed():
        layer = gated()
        layer.build((None, None, WIDTH))
        layer.decay_down.kernel.assign(np.zeros((WIDTH, 16)))
        layer.decay_down.trainable = False
        return layer

    return {
        OURS: found(gated),
        FIXED: found(fixed),
        LINEAR: found(lambda: LinearAttention(1, HEAD, causal=True)),
    }


EVIDENCE = Evidence(
    claim="A decay that the data choose beats one that is fixed, and none.",
    source="arXiv:2312.06635, table 2",
    task=(
        f"{LENGTH} values are written under {KEYS} keys, with one reset among them. Name the last value of a "
        f"key since the reset, or none. A dense layer of width {WIDTH}, a layer with a state of {HEAD} by "
        f"{HEAD} numbers and a dense layer; {STEPS} steps of Adam at 3e-3 on 32 samples. `gate_normalizer` "
        "is 1."
    ),
    run=run,
    metric="accuracy",
    holds={
        "GatedLinearAttention is right in at least 0.85": lambda found: found[OURS] >= 0.85,
        "it is better than each of the others by 0.1": lambda found: (
            found[OURS] >= 0.1 + max(found[FIXED], found[LINEAR])
        ),
    },
    limits="The paper trains models of language. Here, one reset shows what a fixed decay cannot do.",
)
