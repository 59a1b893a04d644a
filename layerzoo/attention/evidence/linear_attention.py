"""The experiment of `LinearAttention`: how time grows with length."""

import time

import keras
import numpy as np

from layerzoo.attention.linear_attention import LinearAttention
from layerzoo.attention.self_attention import SelfAttention
from layerzoo.cookbook.evidence import Evidence

LENGTHS, REPEATS = (512, 1024, 2048, 4096, 8192), 5
MODELS = {
    "LinearAttention": lambda: LinearAttention(4, causal=True),
    "SelfAttention": lambda: SelfAttention(4, causal=True),
}


def run(seed):
    """CPU seconds of a forward pass, the least of several."""

    def seconds(make, length):
        layer = make()
        inputs = np.random.default_rng(seed).normal(size=(1, length, 64)).astype("float32")
        model = keras.Sequential([keras.Input((length, 64)), layer])
        times = []
        for _ in range(REPEATS + 1):
            start = time.process_time()
            model.predict_on_batch(inputs)
            times.append(time.process_time() - start)
        return min(times[1:])

    return {name: {t: seconds(make, t) for t in LENGTHS} for name, make in MODELS.items()}


def growth(found, name):
    """By what the time grows from 1,024 steps to 8,192: 8 times as many."""
    return found[name][8192] / found[name][1024]


EVIDENCE = Evidence(
    claim="Its time grows in proportion to the length, and that of softmax attention with its square.",
    source="arXiv:2006.16236, figure 1",
    task=(
        "A forward pass of one causal attention with 4 heads and width 64 on one sequence of random numbers, "
        f"the fastest of {REPEATS}."
    ),
    run=run,
    metric="CPU seconds of a forward pass",
    better="lower",
    x="length of the sequence",
    holds={
        "from 1,024 steps to 8,192, LinearAttention takes at most 12 times as long": lambda found: (
            growth(found, "LinearAttention") <= 12
        ),
        "SelfAttention takes at least 20 times as long": lambda found: (
            growth(found, "SelfAttention") >= 20
        ),
    },
    limits=(
        "The seconds belong to one machine. Being linear has a price in recall, which this does not measure."
    ),
)
