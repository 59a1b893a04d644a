"""Keras's own attention, with query, key and value given by the same tensor."""

import keras

from layerzoo import SelfAttention

INSTEAD = "keras.layers.MultiHeadAttention, or GroupQueryAttention for a window; causal"
WORK = [dict(b=8, t=128, d=256), dict(b=4, t=512, d=256)]
LONG = [
    dict(b=8, t=512, d=512),
    dict(b=8, t=512, d=512, jit=True),
    dict(b=2, t=2048, d=512),
    dict(b=2, t=2048, d=512, jit=True),
    dict(b=1, t=8192, d=512),
    dict(b=1, t=8192, d=512, window=256),
    dict(b=1, t=4096, d=512, window=256, alone=True),
    dict(b=1, t=16384, d=512, window=256, alone=True),
    dict(b=2, t=2048, d=512, num_key_value_heads=1, alone=True),
    dict(b=2, t=2048, d=512, alone=True),
    dict(b=1, t=32768, d=512, alone=True),
]
HEADS = 8


@keras.saving.register_keras_serializable(package="layerzoo.peers")
class KerasSelfAttention(keras.layers.Layer):
    """Keras's attention behind one input, as a Sequential model would need it."""

    def __init__(self, window=None, **kwargs):
        super().__init__(**kwargs)
        self.window = window

    def build(self, input_shape):
        """Build the attention for one sequence in all three places."""
        width = input_shape[-1] // HEADS
        if self.window is None:
            self.attention = keras.layers.MultiHeadAttention(HEADS, width)
        else:
            self.attention = keras.layers.GroupQueryAttention(
                width, HEADS, HEADS, sliding_window=self.window
            )
        self.attention.build(input_shape, input_shape, input_shape)

    def call(self, inputs):
        """Attend to itself."""
        return self.attention(inputs, inputs, inputs, use_causal_mask=True)


def layer(sizes, **settings):
    """Ours."""
    return SelfAttention(HEADS, causal=True, **settings)


def instead(sizes, **settings):
    """Keras's."""
    return KerasSelfAttention(**settings)


def operations(b, t, d, window=None, num_key_value_heads=HEADS, **_):
    """Multiplications and additions that a training step cannot do without.

    Four products of widths with one another, three times each for the gradients; and of each query with
    the keys that it may see, two products forwards and four backwards.
    """
    seen = t * (t + 1) // 2
    if window is not None and window < t:
        seen = window * (window + 1) // 2 + (t - window) * window
    widths = 2 * d * d + 2 * d * d * num_key_value_heads // HEADS
    return 3 * 2 * b * t * widths + 6 * 2 * b * seen * d
