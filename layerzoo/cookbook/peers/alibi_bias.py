"""A learned number for each pair of a query and a key, which fits one length alone."""

import keras

from layerzoo import AlibiBias

INSTEAD = "a learned table of all pairs of steps, added"
WORK = [dict(b=8, n=8, t=128, s=128), dict(b=4, n=8, t=512, s=512)]


@keras.saving.register_keras_serializable(package="layerzoo.peers")
class LearnedPairs(keras.layers.Layer):
    """One learned number for each head, query and key."""

    def build(self, input_shape):
        """Make the table for these lengths."""
        self.table = self.add_weight(shape=tuple(input_shape[1:]), name="table")

    def call(self, inputs):
        """Add it."""
        return inputs + self.table


def layer(sizes):
    """Ours."""
    return AlibiBias()


def instead(sizes):
    """A learned table."""
    return LearnedPairs()
