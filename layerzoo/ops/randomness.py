"""Random numbers that can be drawn again from the same seed."""

import keras
from keras import backend, ops


class DrawnSeed(keras.random.SeedGenerator):
    """A seed that a `SeedGenerator` drew. Every use gives the same numbers and changes no state."""

    def __init__(self, seed):
        self.seed = seed

    def next(self, ordered=True):
        """The seed."""
        return self.seed


LEVELS = 2**16
"""The number of values of 16 random bits."""


def kept(shape, rate, seed, part=0):
    """What dropout keeps: a boolean tensor, each false with probability `rate`, rounded to 1 / 65,536.

    Random numbers cost more than the attention that they thin out. Each therefore decides twice, with 16 of
    its 32 bits at a time.

    Args:
        shape: shape of the result.
        rate: float from 0 to 1.
        seed: a seed tensor drawn from a `SeedGenerator`.
        part: an integer. Different parts draw different numbers from the same seed.
    """
    *sizes, last = shape
    if _dropped(rate) == LEVELS:
        return ops.zeros(shape, "bool")
    seed = seed + ops.cast([part * 1_000_003, 0], seed.dtype)
    bits = _random_bits((*sizes, (last + 1) // 2), seed)
    bits = ops.reshape(bits, (*sizes, 2 * ((last + 1) // 2)))[..., :last]
    return bits >= _dropped(rate) - LEVELS // 2


def made_up(x, rate):
    """`x / (1 - rate)`, which makes up for what dropout takes away, or 0 if it takes everything."""
    left = LEVELS - _dropped(rate)
    precise = ops.cast(x, backend.result_type(x.dtype, "float32"))
    return ops.cast(precise * (LEVELS / left if left else 0.0), x.dtype)


def _dropped(rate):
    """How many of the `LEVELS` are dropped."""
    return round(rate * LEVELS)


def _random_bits(shape, seed):
    """Numbers with 16 random bits each, in int16: twice as many as `shape` has places."""
    if backend.backend() == "tensorflow":  # the bounds that Keras sets take XLA 20 times as long
        import tensorflow as tf

        seed = ops.cast(seed, "int32")
        return tf.bitcast(tf.random.stateless_uniform(shape, seed, None, None, "int32"), "int16")
    numbers = keras.random.randint(shape, -(2**31), 2**31 - 1, "int32", DrawnSeed(seed))
    return ops.view(numbers, "int16")
