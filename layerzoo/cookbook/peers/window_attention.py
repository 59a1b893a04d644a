"""Keras's own attention, in which each pixel sees all others."""

import keras

from layerzoo import WindowAttention

INSTEAD = "keras.layers.MultiHeadAttention over all pixels"
WORK = [dict(b=4, y=28, x=28, c=192), dict(b=1, y=56, x=56, c=96)]


@keras.saving.register_keras_serializable(package="layerzoo.peers")
class AttentionOverPixels(keras.layers.Layer):
    """`MultiHeadAttention` over an image as one sequence."""

    def build(self, input_shape):
        """Build the attention for one sequence in all three places."""
        _, y, x, c = input_shape
        self.attention = keras.layers.MultiHeadAttention(6, c // 6)
        self.attention.build(*[(None, y * x, c)] * 3)

    def call(self, inputs):
        """Attend to itself."""
        _, y, x, c = inputs.shape
        pixels = keras.ops.reshape(inputs, (-1, y * x, c))
        attended = self.attention(pixels, pixels, pixels)
        return keras.ops.reshape(attended, (-1, y, x, c))


def layer(sizes):
    """Ours."""
    return WindowAttention(6, window_size=7, shift=3)


def instead(sizes):
    """Keras's."""
    return AttentionOverPixels()
