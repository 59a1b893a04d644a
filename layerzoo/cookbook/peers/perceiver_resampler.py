"""The same formula by hand, around Keras's own attention."""

import keras

from layerzoo import PerceiverResampler

INSTEAD = "keras.layers.MultiHeadAttention, norms and dense layers by hand"
WORK = [dict(b=4, t=256, d=256), dict(b=2, t=2048, d=256)]


@keras.saving.register_keras_serializable(package="layerzoo.peers")
class KerasResampler(keras.layers.Layer):
    """64 latents that read twice."""

    def build(self, input_shape):
        """Make what each of the two readings needs."""
        width = input_shape[-1]
        read = (None, None, width)
        self.latents = self.add_weight(shape=(64, width), name="latents")
        self.norms = [keras.layers.LayerNormalization() for _ in range(7)]
        self.attentions = [keras.layers.MultiHeadAttention(8, width // 8) for _ in range(2)]
        self.wide = [keras.layers.Dense(4 * width, activation="gelu") for _ in range(2)]
        self.narrow = [keras.layers.Dense(width) for _ in range(2)]
        for layer in [*self.norms, *self.wide]:
            layer.build(read)
        for layer in self.attentions:
            layer.build(read, read)
        for layer in self.narrow:
            layer.build((None, None, 4 * width))

    def call(self, inputs):
        """Read, think, and again."""
        batch = keras.ops.shape(inputs)[0]
        z = keras.ops.broadcast_to(self.latents, (batch, *self.latents.shape))
        for i in range(2):
            query = self.norms[3 * i](z)
            read = keras.ops.concatenate([self.norms[3 * i + 1](inputs), query], axis=1)
            z = z + self.attentions[i](query, read)
            z = z + self.narrow[i](self.wide[i](self.norms[3 * i + 2](z)))
        return self.norms[6](z)


def layer(sizes):
    """Ours."""
    return PerceiverResampler(64, num_heads=8, depth=2)


def instead(sizes):
    """By hand."""
    return KerasResampler()
