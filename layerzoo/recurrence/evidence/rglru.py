"""The experiment of `RGLRU`: the size of the state over a long sequence, with and without the root."""

import keras
import numpy as np
from keras import ops

from layerzoo.cookbook.evidence import Evidence
from layerzoo.ops.recurrence import linear_recurrence
from layerzoo.recurrence.rglru import RGLRU

UNITS, LENGTHS = 256, (16, 256, 4096, 16384)
OURS, WITHOUT = "RGLRU", "the same without the root"


def run(seed):
    """The root mean square of the state after so many steps."""
    keras.utils.set_random_seed(seed)
    layer = RGLRU(UNITS)
    layer.build((None, None, UNITS))
    kernel = np.array(layer.project.kernel)
    kernel[:, :UNITS] = np.eye(UNITS)
    layer.project.kernel.assign(kernel)
    x = np.random.default_rng(seed).normal(size=(1, LENGTHS[-1], UNITS)).astype("float32")
    _, forget, admit = ops.split(layer.project(x), 3, axis=-1)
    log_decay = -8 * ops.sigmoid(forget) * ops.softplus(layer.speed)
    states = {OURS: layer(x), WITHOUT: linear_recurrence(log_decay, ops.sigmoid(admit) * x)}

    def size(y, length):
        return float(np.sqrt(np.mean(np.square(ops.convert_to_numpy(y)[:, length - 1]))))

    return {name: {length: size(y, length) for length in LENGTHS} for name, y in states.items()}


EVIDENCE = Evidence(
    claim="The root keeps the state at the scale of the inputs, however long the sequence is.",
    source="arXiv:2402.19427, section 2.4",
    task=(
        f"Nothing is trained. A new layer of {UNITS} units reads {LENGTHS[-1]:,} steps of normal noise with "
        "a variance of 1; the value is the input itself, and all gates are as they start. Beside it, the "
        "same recurrence without the root."
    ),
    run=run,
    metric="root mean square of the state",
    better="lower",
    x="steps",
    holds={
        "it stays below 1 at every length": lambda found: max(found[OURS].values()) < 1,
        "without the root, it is more than 3 times that at 4,096 steps": lambda found: (
            found[WITHOUT][4096] > 3 * found[OURS][4096]
        ),
    },
    limits="It shows what the equation says of noise, and no gain of a trained model.",
)
