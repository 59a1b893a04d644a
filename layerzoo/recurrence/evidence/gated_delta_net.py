"""The experiment of `GatedDeltaNet`: a new value of a key replaces the old one."""

import keras
import numpy as np
from keras import layers

from layerzoo.attention.linear_attention import LinearAttention
from layerzoo.cookbook.evidence import Evidence
from layerzoo.cookbook.evidence.tasks import accuracy, trained
from layerzoo.recurrence.gated_delta_net import GatedDeltaNet

KEYS, VALUES, WRITES, WIDTH, HEAD, STEPS = 8, 8, 12, 32, 16, 2000
OURS, LINEAR = "GatedDeltaNet", "LinearAttention"


def writes(count, seed):
    """Values written under keys, some of them twice, and at the end a key: what was its last value?

    Returns:
        Inputs `(sample, WRITES + 1, KEYS + VALUES)`, and the values.
    """
    generator = np.random.default_rng(seed)
    keys = generator.integers(KEYS, size=(count, WRITES))
    values = generator.integers(VALUES, size=(count, WRITES))
    asked = keys[np.arange(count), generator.integers(WRITES, size=count)]
    inputs = np.zeros((count, WRITES + 1, KEYS + VALUES), "float32")
    inputs[:, :-1, :KEYS] = np.eye(KEYS)[keys]
    inputs[:, :-1, KEYS:] = np.eye(VALUES)[values]
    inputs[:, -1, :KEYS] = np.eye(KEYS)[asked]
    last = WRITES - 1 - np.argmax((keys == asked[:, None])[:, ::-1], axis=1)
    return inputs, values[np.arange(count), last]


def run(seed):
    """The accuracy of each model."""
    inputs, targets = writes(32 * STEPS, [seed, 0])
    test, answers = writes(1000, [seed, 1])

    def found(layer):
        def make():
            return keras.Sequential(
                [
                    keras.Input(inputs.shape[1:]),
                    layers.Dense(WIDTH),
                    layer(),
                    layers.Lambda(lambda x: x[:, -1]),
                    layers.Dense(VALUES),
                ]
            )

        return accuracy(trained(make, inputs, targets, seed, learning_rate=3e-3), test, answers)

    return {
        OURS: found(lambda: GatedDeltaNet(1, HEAD, kernel_size=1)),
        LINEAR: found(lambda: LinearAttention(1, HEAD, causal=True)),
    }


EVIDENCE = Evidence(
    claim="The delta rule replaces the value of a key, which a sum of all values cannot.",
    source="arXiv:2412.06464, section 3.1",
    task=(
        f"{WRITES} values are written under {KEYS} keys. Name the last value of a key. A dense layer of "
        f"width {WIDTH}, a layer with a state of {HEAD} by {HEAD} numbers and a dense layer; {STEPS} steps "
        "of Adam at 3e-3 on 32 samples. The convolution reads one step only."
    ),
    run=run,
    metric="accuracy",
    holds={
        "GatedDeltaNet is right in at least 0.95": lambda found: found[OURS] >= 0.95,
        "LinearAttention is right in at most 0.75": lambda found: found[LINEAR] <= 0.75,
    },
    limits="The paper's tasks have thousands of steps. Here, the decay alone could favour late values too.",
)
