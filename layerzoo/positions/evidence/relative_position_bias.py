"""The experiment of `RelativePositionBias`: an offset that holds at every position."""

import keras
import numpy as np
from keras import layers

from layerzoo.attention.self_attention import SelfAttention
from layerzoo.cookbook.evidence import Evidence
from layerzoo.cookbook.evidence.tasks import trained
from layerzoo.positions.relative_position_bias import RelativePositionBias

SYMBOLS, BACK, LENGTHS = 8, 5, (32, 64, 128)
NEAR = "RelativePositionBias(max_distance=16)"
MODELS = {
    NEAR: lambda: RelativePositionBias(max_distance=16),
    "RelativePositionBias(), max_distance 128": RelativePositionBias,
    "no positions": lambda: None,
}


def sequences(length, count, seed):
    """Random symbols, and for each step the one some steps back; the first steps repeat themselves."""
    symbols = np.random.default_rng(seed).integers(SYMBOLS, size=(count, length))
    earlier = symbols.copy()
    earlier[:, BACK:] = symbols[:, :-BACK]
    return symbols, earlier


def run(seed):
    """The accuracy of each model at the length of training and beyond."""
    inputs, targets = sequences(LENGTHS[0], 9600, [seed, 0])

    def accuracies(position):
        def make():
            attention = SelfAttention(4, position=position())
            ends = layers.Embedding(SYMBOLS, 32), layers.Dense(SYMBOLS)
            return keras.Sequential([keras.Input((None,)), ends[0], attention, ends[1]])

        model = trained(make, inputs, targets, seed, learning_rate=1e-2)
        found = {}
        for t in LENGTHS:
            symbols, earlier = sequences(t, 200, [seed, t])
            scores = model.predict(symbols, verbose=0).argmax(-1)
            found[t] = float(np.mean((scores == earlier)[:, BACK:]))
        return found

    return {name: accuracies(position) for name, position in MODELS.items()}


EVIDENCE = Evidence(
    claim="It learns an offset once, for all positions, and distances beyond `max_distance` share one.",
    source="arXiv:1910.10683, section 2.1",
    task=(
        f"Sequences of {LENGTHS[0]} random symbols out of {SYMBOLS}; each step must name the symbol {BACK} "
        "steps back. One attention with 4 heads and width 32; 300 steps of Adam at 1e-2 on 32 sequences."
    ),
    run=run,
    metric="accuracy, without the first steps",
    x="length of the sequence",
    holds={
        f"{NEAR} is right at 0.95 of the steps or more, at every length": lambda found: (
            min(found[NEAR].values()) >= 0.95
        ),
        "without positions, at 0.3 or less": lambda found: (
            max(found["no positions"].values()) <= 0.3
        ),
    },
    limits=(
        "All distances beyond `max_distance` share a bucket. With the default of 128, sequences of "
        f"{LENGTHS[0]} leave the far buckets untrained, and longer sequences then use them: choose a "
        "`max_distance` below the length of training if a model should read longer inputs."
    ),
)
