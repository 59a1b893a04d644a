"""Dilated causal blocks, wired by hand from Keras's layers, as a user would."""

import keras
from keras import layers


def _convolution(filters, kernel_size, dilation, **settings):
    return layers.Conv1D(filters, kernel_size, dilation_rate=dilation, padding="causal", **settings)


def temporal(sizes):
    """Two dilated causal convolutions and a shortcut in a Functional model."""
    inputs = keras.Input((sizes["t"], sizes["d"]))
    x = inputs
    for _ in range(2):
        x = layers.SpatialDropout1D(0.1)(_convolution(sizes["d"], 3, 4, activation="relu")(x))
    return keras.Model(inputs, layers.ReLU()(layers.Add()([inputs, x])))


def wave_net(sizes):
    """A gated dilated causal convolution and a shortcut in a Functional model."""
    inputs = keras.Input((sizes["t"], sizes["d"]))
    signal = _convolution(sizes["d"], 2, 4, activation="tanh")(inputs)
    gate = _convolution(sizes["d"], 2, 4, activation="sigmoid")(inputs)
    gated = layers.Dense(sizes["d"])(layers.Multiply()([signal, gate]))
    return keras.Model(inputs, layers.Add()([inputs, gated]))
