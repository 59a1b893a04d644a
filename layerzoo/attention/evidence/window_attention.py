"""The experiment of `WindowAttention`: what crosses the border between two windows."""

import keras
import numpy as np
from keras import layers

from layerzoo.attention.window_attention import WindowAttention
from layerzoo.cookbook.evidence import Evidence
from layerzoo.cookbook.evidence.tasks import predicted, trained
from layerzoo.residual.residual import Residual

SIZE, WINDOW, SYMBOLS, STEPS = 8, 4, 4, 400
MODELS = {"shifts 0 and 2": (0, 2), "shifts 0 and 0": (0, 0)}


def run(seed):
    """The accuracy of each model where the answer lies in another window."""
    symbols = np.random.default_rng(seed).integers(SYMBOLS, size=(32 * STEPS + 200, SIZE, SIZE))
    left = np.roll(symbols, 1, axis=2)
    inputs = keras.utils.to_categorical(symbols, SYMBOLS)

    def result(shifts):
        def make():
            blocks = [Residual(WindowAttention(4, WINDOW, shift), norm="pre") for shift in shifts]
            ends = layers.Dense(32), layers.Dense(SYMBOLS)
            return keras.Sequential([keras.Input(inputs.shape[1:]), ends[0], *blocks, ends[1]])

        model = trained(make, inputs[:-200], left[:-200], seed, learning_rate=5e-3)
        answers = predicted(model, inputs[-200:]).argmax(-1)
        return float(np.mean((answers == left[-200:])[:, :, WINDOW]))

    return {name: result(shifts) for name, shifts in MODELS.items()}


EVIDENCE = Evidence(
    claim="Shifting the windows of every other layer carries information across their borders.",
    source="arXiv:2103.14030, section 3.2 and table 4",
    task=(
        f"Images of {SIZE} by {SIZE} random symbols out of {SYMBOLS}; each pixel must name its left "
        f"neighbour. Two pre-norm layers with windows of {WINDOW}, 4 heads and width 32; {STEPS} steps of "
        "Adam at 5e-3 on 32 images. Only pixels whose left neighbour is in another window count."
    ),
    run=run,
    metric="accuracy right of a border between windows",
    holds={
        "with the shift, 0.95 of the pixels or more are right": lambda found: (
            found["shifts 0 and 2"] >= 0.95
        ),
        "without it, 0.3 or less (chance is 0.25)": lambda found: found["shifts 0 and 0"] <= 0.3,
    },
)
