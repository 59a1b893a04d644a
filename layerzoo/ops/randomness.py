"""Random numbers that can be drawn again."""

import keras
from keras import ops


class DrawnSeed(keras.random.SeedGenerator):
    """A seed that a `SeedGenerator` drew: each use of it gives the same numbers, and changes no state."""

    def __init__(self, seed):
        self.seed = seed

    def next(self, ordered=True):
        """The seed."""
        return self.seed


def kept(shape, rate, seed, part=0):
    """0 with a chance of `rate`, else `1 / (1 - rate)`: what dropout multiplies with, in float32.

    Args:
        shape: of the result.
        rate: from 0 to 1.
        seed: a tensor that a `SeedGenerator` drew.
        part: an integer. Parts of one whole have different numbers.
    """
    seed = seed + ops.cast([part * 1_000_003, 0], seed.dtype)
    chance = keras.random.uniform(shape, seed=DrawnSeed(seed), dtype="float32")
    return ops.where(chance < rate, 0.0, 1.0 / max(1.0 - rate, 1e-9))
