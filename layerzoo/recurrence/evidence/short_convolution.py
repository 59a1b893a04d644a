"""The experiment of `ShortConvolution`: which value stood behind this key, with one layer of attention."""

import keras
import numpy as np
from keras import layers

from layerzoo.attention.self_attention import SelfAttention
from layerzoo.cookbook.evidence import Evidence
from layerzoo.cookbook.evidence.tasks import accuracy, trained
from layerzoo.recurrence.short_convolution import ShortConvolution
from layerzoo.residual.residual import Residual

KEYS, VALUES, PAIRS, WIDTH, STEPS, RATE = 16, 16, 8, 64, 600, 3e-3
OURS, ALONE = "ShortConvolution and attention", "attention alone"
MODELS = {OURS: [lambda: ShortConvolution(2)], ALONE: []}


def sequences(count, seed):
    """Pairs of a key and a value, then one of the keys again; and its value."""
    rng = np.random.default_rng(seed)
    keys = rng.permuted(np.tile(np.arange(KEYS), (count, 1)), axis=1)[:, :PAIRS]
    values = rng.integers(VALUES, size=(count, PAIRS))
    asked = rng.integers(PAIRS, size=(count, 1))
    pairs = np.stack([keys, KEYS + values], axis=-1).reshape(count, 2 * PAIRS)
    inputs = np.concatenate([pairs, np.take_along_axis(keys, asked, axis=1)], axis=1)
    return inputs, np.take_along_axis(values, asked, axis=1)[:, 0]


def run(seed):
    """The accuracy of each model."""
    inputs, labels = sequences(32 * STEPS, [seed, 0])
    test_inputs, test_labels = sequences(1000, [seed, 1])

    def result(start):
        def make():
            return keras.Sequential(
                [
                    keras.Input((2 * PAIRS + 1,)),
                    layers.Embedding(KEYS + VALUES, WIDTH),
                    *(Residual(make_layer(), norm="pre") for make_layer in start),
                    Residual(SelfAttention(4, causal=True), norm="pre"),
                    layers.LayerNormalization(),
                    layers.Cropping1D((2 * PAIRS, 0)),
                    layers.Flatten(),
                    layers.Dense(VALUES),
                ]
            )

        model = trained(make, inputs, labels, seed, learning_rate=RATE)
        return accuracy(model, test_inputs, test_labels)

    return {name: result(start) for name, start in MODELS.items()}


EVIDENCE = Evidence(
    claim="One layer of attention recalls a pair if a short convolution joins neighbours first.",
    source="arXiv:2212.14052, section 3, and arXiv:2312.04927",
    task=(
        f"{PAIRS} pairs of one of {KEYS} keys and one of {VALUES} values, and then one of the keys again: "
        f"which value stood behind it? One causal attention layer of width {WIDTH}, with and without a "
        f"convolution over two steps before it; {STEPS} steps of Adam at {RATE:g} on 32 sequences."
    ),
    run=run,
    metric="accuracy",
    holds={
        "with the convolution, 0.95 or more are right": lambda found: found[OURS] >= 0.95,
        "without, 0.3 or less": lambda found: found[ALONE] <= 0.3,
    },
    limits=(
        "Without positions, attention cannot tell which value stood behind a key at all. Two layers of "
        "attention with positions learn it too."
    ),
)
