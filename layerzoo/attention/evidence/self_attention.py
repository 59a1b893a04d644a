"""The experiment of `SelfAttention`: what stood far back is one step away."""

import keras
import numpy as np
from keras import layers

from layerzoo.attention.self_attention import SelfAttention
from layerzoo.cookbook.evidence import Evidence
from layerzoo.cookbook.evidence.tasks import LearnedPositions, accuracy, trained

SYMBOLS, WIDTH, EPOCHS, LENGTHS = 10, 32, 10, (10, 30, 100)
MODELS = {
    "SelfAttention": lambda: [
        LearnedPositions(),
        SelfAttention(4),
        layers.Lambda(lambda x: x[:, -1]),
    ],
    f"GRU({WIDTH})": lambda: [layers.GRU(WIDTH)],
}


def run(seed):
    """The accuracy of each model at each distance, trained anew for each."""

    def result(blocks, length):
        symbols = np.random.default_rng([seed, length]).integers(SYMBOLS, size=(2500, length))

        def make():
            ends = layers.Embedding(SYMBOLS, WIDTH), layers.Dense(SYMBOLS)
            return keras.Sequential([keras.Input((length,)), ends[0], *blocks(), ends[1]])

        first = symbols[:, 0]
        model = trained(
            make,
            symbols[:2000],
            first[:2000],
            seed,
            epochs=EPOCHS,
            batch_size=64,
            learning_rate=3e-3,
        )
        return accuracy(model, symbols[2000:], first[2000:])

    return {name: {t: result(blocks, t) for t in LENGTHS} for name, blocks in MODELS.items()}


EVIDENCE = Evidence(
    claim="Any two steps are one layer apart, while a recurrent layer has all steps between them.",
    source="arXiv:1706.03762, table 1",
    task=(
        f"Sequences of random symbols out of {SYMBOLS}; the last step must name the first symbol. Width "
        f"{WIDTH}; 2,000 sequences, {EPOCHS} epochs of Adam at 3e-3 in batches of 64."
    ),
    run=run,
    metric="accuracy on held-out sequences",
    x="length of the sequence",
    holds={
        "SelfAttention names 0.95 of the symbols or more, at every length": lambda found: (
            min(found["SelfAttention"].values()) >= 0.95
        ),
        f"GRU({WIDTH}) names 0.5 or less at 100": lambda found: found[f"GRU({WIDTH})"][100] <= 0.5,
    },
    limits="The training is short. With more of it, a GRU learns this task at more lengths.",
)
