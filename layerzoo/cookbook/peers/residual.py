"""The same block wired by hand in a Functional model."""

import keras

from layerzoo import Residual

INSTEAD = "LayerNormalization, Dense and Add in a Functional model"
WORK = [dict(b=8, t=128, d=256)]


def layer(sizes):
    """Ours."""
    return Residual(keras.layers.Dense(sizes["d"], activation="relu"), norm="pre")


def instead(sizes):
    """By hand."""
    inputs = keras.Input((sizes["t"], sizes["d"]))
    x = keras.layers.LayerNormalization(epsilon=1e-5)(inputs)
    x = keras.layers.Dense(sizes["d"], activation="relu")(x)
    return keras.Model(inputs, keras.layers.Add()([inputs, x]))
