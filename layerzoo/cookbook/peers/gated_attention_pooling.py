"""The mean over all instances, which weighs them alike."""

import keras

from layerzoo import GatedAttentionPooling

INSTEAD = "keras.layers.GlobalAveragePooling1D"
WORK = [dict(b=8, t=128, d=256), dict(b=2, t=4096, d=256)]


def layer(sizes):
    """Ours."""
    return GatedAttentionPooling(128)


def instead(sizes):
    """Keras's."""
    return keras.layers.GlobalAveragePooling1D()
