"""The Transformer blocks, wired by hand from Keras's layers, as a user would."""

import keras
from keras import layers


def encoder(sizes):
    """A pre-norm encoder block in a Functional model."""
    inputs = keras.Input((sizes["t"], sizes["d"]))
    return keras.Model(inputs, _feed(_attend(inputs)))


def decoder(sizes):
    """A pre-norm block of a decoder without an encoder, in a Functional model."""
    inputs = keras.Input((sizes["t"], sizes["d"]))
    return keras.Model(inputs, _feed(_attend(inputs, use_causal_mask=True)))


def _attend(x, **sees):
    width = x.shape[-1]
    normed = layers.LayerNormalization(epsilon=1e-5)(x)
    attended = layers.MultiHeadAttention(8, width // 8)(normed, normed, **sees)
    return layers.Add()([x, attended])


def _feed(x):
    width = x.shape[-1]
    hidden = layers.LayerNormalization(epsilon=1e-5)(x)
    hidden = layers.Dense(4 * width, activation="relu")(hidden)
    return layers.Add()([x, layers.Dense(width)(hidden)])
