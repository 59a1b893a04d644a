"""The experiment of `SelectiveStateSpace`: selective copying, with and without selection."""

import keras
import numpy as np
from keras import layers

from layerzoo.cookbook.evidence import Evidence
from layerzoo.cookbook.evidence.tasks import predicted, trained
from layerzoo.recurrence.selective_state_space import SelectiveStateSpace
from layerzoo.residual.residual import Residual

SYMBOLS, COUNT, LENGTH, WIDTH, STATE, HEADS, STEPS = 8, 4, 64, 32, 16, 4, 1500
BLANK, ASKED = SYMBOLS, SYMBOLS + 1
OURS, FIXED = "SelectiveStateSpace", "the same with fixed dynamics"


def sequences(count, seed):
    """Sequences of integers, and the symbols in them."""
    rng = np.random.default_rng(seed)
    symbols = rng.integers(SYMBOLS, size=(count, COUNT))
    read = np.full((count, LENGTH - COUNT), BLANK)
    places = rng.permuted(np.tile(np.arange(LENGTH - COUNT), (count, 1)), axis=1)[:, :COUNT]
    np.put_along_axis(read, np.sort(places, axis=1), symbols, axis=1)
    return np.concatenate([read, np.full((count, COUNT), ASKED)], axis=1), symbols


@keras.saving.register_keras_serializable(package="layerzoo.evidence")
class FixedDynamics(SelectiveStateSpace):
    """The key, the query and the step size do not depend on the inputs, but on biases that are trained."""

    def build(self, input_shape):
        """Keep the columns of the kernel at zero that would make them depend on the inputs."""
        super().build(input_shape)
        n, m, h = self.heads
        free = np.arange(2 * (n * h + m) + n) < 2 * n * h
        kernel = self.project_in.kernel
        kernel.constraint = lambda value: value * keras.ops.cast(free, value.dtype)
        kernel.assign(kernel.constraint(kernel.value))


def share_repeated(kind, seed):
    """The share of the symbols that a model of two layers repeats."""
    inputs, symbols = sequences(32 * STEPS, [seed, 0])
    test_inputs, test_symbols = sequences(500, [seed, 1])

    def make():
        return keras.Sequential(
            [
                keras.Input((LENGTH,)),
                layers.Embedding(SYMBOLS + 2, WIDTH),
                *(Residual(kind(STATE, HEADS), norm="pre") for _ in range(2)),
                layers.LayerNormalization(),
                layers.Cropping1D((LENGTH - COUNT, 0)),
                layers.Dense(SYMBOLS),
            ]
        )

    model = trained(make, inputs, symbols, seed, learning_rate=3e-3, clipnorm=1.0)
    return float(np.mean(predicted(model, test_inputs).argmax(-1) == test_symbols))


def run(seed):
    """The share of the symbols that each model repeats."""
    kinds = {OURS: SelectiveStateSpace, FIXED: FixedDynamics}
    return {name: share_repeated(kind, seed) for name, kind in kinds.items()}


EVIDENCE = Evidence(
    claim="Selection solves selective copying, and fixed dynamics do not.",
    source="arXiv:2312.00752, section 4.1.1",
    task=(
        f"Selective copying: {COUNT} symbols out of {SYMBOLS} come at random places among {LENGTH - COUNT} "
        f"steps, the others are blank, and the last {COUNT} steps ask for them in order. Two pre-norm layers "
        f"of width {WIDTH}, state {STATE}; {STEPS} steps of Adam at 3e-3 on 32 sequences. Beside it, the "
        "same layers, whose key, query and step size are the same at each step."
    ),
    run=run,
    metric="share of the symbols repeated",
    holds={
        "SelectiveStateSpace repeats at least 0.95": lambda found: found[OURS] >= 0.95,
        "fixed dynamics repeat at most 0.4": lambda found: found[FIXED] <= 0.4,
    },
    limits="The paper's sequences have 4,096 steps and 16 symbols. Its kind of fixed layer is S4.",
)
