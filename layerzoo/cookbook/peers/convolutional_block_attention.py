"""The gate of the channels alone, wired by hand in a Functional model."""

import keras

from layerzoo import ConvolutionalBlockAttention

INSTEAD = "GlobalAveragePooling2D, two Dense and Multiply: the channels alone, from the mean alone"
WORK = [dict(b=8, y=32, x=32, c=64), dict(b=8, y=14, x=14, c=256)]


def layer(sizes):
    """Ours."""
    return ConvolutionalBlockAttention(16)


def instead(sizes):
    """By hand."""
    inputs = keras.Input((sizes["y"], sizes["x"], sizes["c"]))
    gate = keras.layers.GlobalAveragePooling2D(keepdims=True)(inputs)
    gate = keras.layers.Dense(sizes["c"] // 16, activation="relu")(gate)
    gate = keras.layers.Dense(sizes["c"], activation="sigmoid")(gate)
    return keras.Model(inputs, keras.layers.Multiply()([inputs, gate]))
