"""Random numbers that can be drawn again from the same seed."""

import keras
from keras import ops


class DrawnSeed(keras.random.SeedGenerator):
    """A seed that a `SeedGenerator` drew. Every use gives the same numbers and changes no state."""

    def __init__(self, seed):
        self.seed = seed

    def next(self, ordered=True):
        """The seed."""
        return self.seed


def kept(shape, rate, seed, part=0):
    """The factors of dropout, in float32: 0 with probability `rate`, otherwise `1 / (1 - rate)`.

    Args:
        shape: shape of the result.
        rate: float from 0 to 1.
        seed: a seed tensor drawn from a `SeedGenerator`.
        part: an integer. Different parts draw different numbers from the same seed.
    """
    seed = seed + ops.cast([part * 1_000_003, 0], seed.dtype)
    chance = keras.random.uniform(shape, seed=DrawnSeed(seed), dtype="float32")
    return ops.where(chance < rate, 0.0, 1.0 / max(1.0 - rate, 1e-9))
