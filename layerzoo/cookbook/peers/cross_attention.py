"""Keras's own attention; with either, a sequence is its own context."""

import keras

from layerzoo import CrossAttention

INSTEAD = "keras.layers.MultiHeadAttention"
WORK = [dict(b=8, t=128, d=256), dict(b=4, t=512, d=256)]


@keras.saving.register_keras_serializable(package="layerzoo.peers")
class KerasCrossAttention(keras.layers.Layer):
    """`MultiHeadAttention` whose context is its input."""

    def build(self, input_shape):
        """Build the attention for one sequence in both places."""
        self.attention = keras.layers.MultiHeadAttention(8, input_shape[-1] // 8)
        self.attention.build(input_shape, input_shape)

    def call(self, inputs):
        """Read itself."""
        return self.attention(inputs, inputs)


def layer(sizes):
    """Ours."""
    return CrossAttention(8)


def instead(sizes):
    """Keras's."""
    return KerasCrossAttention()
