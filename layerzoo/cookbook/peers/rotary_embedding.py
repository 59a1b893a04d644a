"""A learned position embedding added to the features, as Keras examples write it."""

import keras

from layerzoo import RotaryEmbedding

INSTEAD = "a learned table of positions, added"
WORK = [dict(b=8, t=512, d=256)]


@keras.saving.register_keras_serializable(package="layerzoo.peers")
class LearnedPosition(keras.layers.Layer):
    """One learned vector a step."""

    def build(self, input_shape):
        """Make the table for this length."""
        self.table = self.add_weight(shape=tuple(input_shape[1:]), name="table")

    def call(self, inputs):
        """Add it."""
        return inputs + self.table


def layer(sizes):
    """Ours."""
    return RotaryEmbedding()


def instead(sizes):
    """A learned table."""
    return LearnedPosition()
