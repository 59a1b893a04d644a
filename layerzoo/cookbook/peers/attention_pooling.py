"""The mean over all steps, which weighs them alike."""

import keras

from layerzoo import AttentionPooling

INSTEAD = "keras.layers.GlobalAveragePooling1D"
WORK = [dict(b=8, t=128, d=256), dict(b=2, t=4096, d=256)]


def layer(sizes):
    """Ours."""
    return AttentionPooling(8)


def instead(sizes):
    """Keras's."""
    return keras.layers.GlobalAveragePooling1D()
