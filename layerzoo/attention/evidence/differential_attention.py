"""The experiment of `DifferentialAttention`: how much attention the answer gets among distractors."""

import keras
import numpy as np
from keras import layers

from layerzoo.attention.differential_attention import DifferentialAttention
from layerzoo.attention.self_attention import SelfAttention
from layerzoo.cookbook.evidence import Evidence
from layerzoo.cookbook.evidence.tasks import trained

KEYS, VALUES, LENGTH, WIDTH, STEPS = 64, 10, 64, 64, 1500
OURS, SIGNED, PLAIN = "DifferentialAttention", "the same, with signs", "SelfAttention"


def lookups(count, seed):
    """Pairs of a key and a value in any order, and at the end a key alone: which value had it?

    Returns:
        Inputs `(sample, LENGTH + 1, KEYS + VALUES)`, the values, and the places of the answers.
    """
    generator = np.random.default_rng(seed)
    keys = generator.permuted(np.tile(np.arange(KEYS), (count, 1)), axis=1)[:, :LENGTH]
    values = generator.integers(VALUES, size=(count, LENGTH))
    place = generator.integers(LENGTH, size=count)
    inputs = np.zeros((count, LENGTH + 1, KEYS + VALUES), "float32")
    inputs[:, :-1, :KEYS] = np.eye(KEYS)[keys]
    inputs[:, :-1, KEYS:] = np.eye(VALUES)[values]
    each = np.arange(count)
    inputs[:, -1, :KEYS] = np.eye(KEYS)[keys[each, place]]
    return inputs, values[each, place], place


def run(seed):
    """The share of the last step's attention that is on the answer, as the mean over the heads."""
    inputs, targets, _ = lookups(32 * STEPS, [seed, 0])
    test, _, place = lookups(300, [seed, 1])

    def scores(attention):
        def make():
            return keras.Sequential(
                [
                    keras.Input(inputs.shape[1:]),
                    layers.Dense(WIDTH),
                    attention(),
                    layers.Lambda(lambda x: x[:, -1]),
                    layers.Dense(VALUES),
                ]
            )

        model = trained(make, inputs, targets, seed, learning_rate=3e-3)
        _, found = model.layers[1](model.layers[0](test), return_attention_scores=True)
        return keras.ops.convert_to_numpy(found)[:, :, -1]

    def share(found):
        of_all = found / found.sum(-1, keepdims=True)
        return float(np.mean(of_all[np.arange(len(place)), :, place]))

    ours = scores(lambda: DifferentialAttention(1))
    plain = scores(lambda: SelfAttention(2))
    return {OURS: share(np.abs(ours)), SIGNED: share(ours), PLAIN: share(plain)}


EVIDENCE = Evidence(
    claim="The difference of two softmax maps leaves less attention on what does not matter.",
    source="arXiv:2410.05258, figure 1",
    task=(
        f"Of {LENGTH} pairs of a key and a value, name the value of a given key. A dense layer, an attention "
        f"of width {WIDTH} and a dense layer; {STEPS} steps of Adam at 3e-3 on 32 samples. Both attentions "
        "have as many weights, but for a few vectors. Differences are counted by their absolute values."
    ),
    run=run,
    metric="share of the attention on the answer",
    holds={
        "DifferentialAttention has at most half as much on the rest": lambda found: (
            1 - found[OURS] <= 0.5 * (1 - found[PLAIN])
        ),
    },
    limits=(
        "The paper measures models of language with billions of weights. Here the scores on the rest have "
        "either sign, and nearly cancel if they are added with their signs: that is the second row."
    ),
)
