"""The peer that the cards of this family are measured against."""

import keras


def squeeze_and_excite(sizes):
    """Squeeze-and-excitation, wired by hand in a Functional model."""
    inputs = keras.Input((sizes["y"], sizes["x"], sizes["c"]))
    gate = keras.layers.GlobalAveragePooling2D(keepdims=True)(inputs)
    gate = keras.layers.Dense(sizes["c"] // 16, activation="relu")(gate)
    gate = keras.layers.Dense(sizes["c"], activation="sigmoid")(gate)
    return keras.Model(inputs, keras.layers.Multiply()([inputs, gate]))
