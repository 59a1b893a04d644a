"""The experiment of `VariableSelection`: which three of twenty variables does the target depend on?"""

import keras
import numpy as np
from keras import layers

from layerzoo.cookbook.evidence import Evidence
from layerzoo.cookbook.evidence.tasks import predicted, trained
from layerzoo.gated.variable_selection import VariableSelection

VARIABLES, SAMPLES, EPOCHS = 20, 4096, 40
WEIGHT, CHANCE = "weight of the three variables", "three of twenty equal weights"


def target(x):
    """A sum of functions of three of the variables."""
    return (x[:, 2] + np.sin(3 * x[:, 7]) + 2 * np.abs(x[:, 11]) - 1)[:, None]


def make():
    """Selection and a linear layer."""
    return keras.Sequential(
        [
            keras.Input((VARIABLES,)),
            VariableSelection(16, num_variables=VARIABLES),
            layers.Dense(1),
        ]
    )


def run(seed):
    """The sum of the weights of the three variables, and how much of the target is explained."""
    generator = np.random.default_rng(seed)
    x, new = generator.uniform(-1, 1, (2, SAMPLES, VARIABLES)).astype("float32")
    model = trained(
        make, x, target(x), seed, epochs=EPOCHS, batch_size=64, learning_rate=3e-3, loss="mse"
    )
    _, weights = model.layers[0](new, return_attention_scores=True)
    weights = keras.ops.convert_to_numpy(weights).mean(axis=0)
    error = np.mean((predicted(model, new) - target(new)) ** 2) / target(new).var()
    return {
        WEIGHT: float(weights[[2, 7, 11]].sum()),
        CHANCE: 3 / VARIABLES,
        "explained variance": float(1 - error),
    }


EVIDENCE = Evidence(
    claim="The weights find the variables that the target depends on.",
    source="arXiv:1912.09363, section 7.1 and table 3",
    task=(
        f"{SAMPLES:,} samples of {VARIABLES} uniform variables. The target is a sum of a linear function, a "
        "sine and an absolute value of three of them. The layer with 16 units and a dense layer; "
        f"{EPOCHS} epochs of Adam at 3e-3 in batches of 64."
    ),
    run=run,
    metric="mean on new samples",
    holds={
        "the three variables have 0.7 of the weight or more": lambda found: found[WEIGHT] >= 0.7,
    },
    limits="The paper selects among the variables of five real data sets, where nobody knows the right ones.",
)
