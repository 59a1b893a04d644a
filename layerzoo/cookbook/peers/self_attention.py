"""Keras's own attention, with query, key and value given by the same tensor."""

import keras

from layerzoo import SelfAttention

INSTEAD = "keras.layers.MultiHeadAttention, causal"
WORK = [dict(b=8, t=128, d=256), dict(b=4, t=512, d=256)]


@keras.saving.register_keras_serializable(package="layerzoo.peers")
class KerasSelfAttention(keras.layers.Layer):
    """`MultiHeadAttention` behind one input, as a Sequential model would need it."""

    def build(self, input_shape):
        """Build the attention for one sequence in all three places."""
        self.attention = keras.layers.MultiHeadAttention(8, input_shape[-1] // 8)
        self.attention.build(input_shape, input_shape, input_shape)

    def call(self, inputs):
        """Attend to itself."""
        return self.attention(inputs, inputs, inputs, use_causal_mask=True)


def layer(sizes):
    """Ours."""
    return SelfAttention(8, causal=True)


def instead(sizes):
    """Keras's."""
    return KerasSelfAttention()
