"""The Transformer blocks, wired by hand from Keras's layers, as a user would."""

import keras
from keras import layers


def encoder(sizes, instead=None):
    """A pre-norm encoder block in a Functional model, or KerasHub's."""
    if instead:
        return _of_keras_hub("TransformerEncoder", sizes)
    inputs = keras.Input((sizes["t"], sizes["d"]))
    return keras.Model(inputs, _feed(_attend(inputs)))


def decoder(sizes, instead=None):
    """A pre-norm block of a decoder without an encoder, in a Functional model, or KerasHub's."""
    if instead:
        return _of_keras_hub("TransformerDecoder", sizes)
    inputs = keras.Input((sizes["t"], sizes["d"]))
    return keras.Model(inputs, _feed(_attend(inputs, use_causal_mask=True)))


def operations(b, t, d, causal=False, **_):
    """Count the multiplications and additions that a training step must do.

    The attention has four projections, and the MLP has two that are four times as wide. Each counts three
    times: once forwards and twice backwards. Each query and each key that it may attend to count six times:
    two products forwards and four backwards.
    """
    seen = t * (t + 1) // 2 if causal else t * t
    return 3 * 2 * b * t * (4 + 2 * 4) * d * d + 6 * 2 * b * seen * d


def _of_keras_hub(kind, sizes):
    import keras_hub

    make = getattr(keras_hub.layers, kind)
    return make(4 * sizes["d"], 8, layer_norm_epsilon=1e-5, normalize_first=True)


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
