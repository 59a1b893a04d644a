"""Selective copying: symbols come between blanks at random places, and are then repeated in order."""

import keras
import numpy as np
from keras import layers

from layerzoo.cookbook.evidence.tasks import predicted, trained
from layerzoo.gated.gated_mlp import GatedMLP
from layerzoo.residual.residual import Residual

SYMBOLS, COUNT, SPAN, WIDTH, BLOCKS, STEPS, RATE = 8, 8, 56, 64, 3, 600, 3e-3
BLANK, ASKED = SYMBOLS, SYMBOLS + 1
TASK = (
    f"Selective copying: {COUNT} symbols out of {SYMBOLS} come at random places among {SPAN} steps, the "
    f"others are blank, and the last {COUNT} steps ask for them in order. {BLOCKS} pre-norm blocks of width "
    f"{WIDTH}, each with the layer and a gated MLP; {STEPS} steps of Adam at {RATE:g} on 32 sequences."
)
METRIC = "share of the symbols repeated"


def sequences(count, seed):
    """Sequences of integers, and the symbols in them."""
    rng = np.random.default_rng(seed)
    symbols = rng.integers(SYMBOLS, size=(count, COUNT))
    read = np.full((count, SPAN), BLANK)
    places = np.sort(rng.permuted(np.tile(np.arange(SPAN), (count, 1)), axis=1)[:, :COUNT], axis=1)
    np.put_along_axis(read, places, symbols, axis=1)
    return np.concatenate([read, np.full((count, COUNT), ASKED)], axis=1), symbols


def share_repeated(kind, seed):
    """The share of the symbols that a model repeats, given a function of a width that makes its layers."""
    inputs, symbols = sequences(32 * STEPS, [seed, 0])
    test_inputs, test_symbols = sequences(500, [seed, 1])

    def make():
        blocks = []
        for _ in range(BLOCKS):
            blocks += [Residual(kind(WIDTH), norm="pre"), Residual(GatedMLP(2 * WIDTH), norm="pre")]
        start = [keras.Input((SPAN + COUNT,)), layers.Embedding(SYMBOLS + 2, WIDTH)]
        end = [layers.LayerNormalization(), layers.Cropping1D((SPAN, 0)), layers.Dense(SYMBOLS)]
        return keras.Sequential([*start, *blocks, *end])

    model = trained(make, inputs, symbols, seed, learning_rate=RATE, clipnorm=1.0)
    return float(np.mean(predicted(model, test_inputs).argmax(-1) == test_symbols))
