"""Keras's dropout, which drops single features."""

import keras

from layerzoo import DropPath

INSTEAD = "keras.layers.Dropout"
WORK = [dict(b=32, t=128, d=256)]


def layer(sizes):
    """Ours."""
    return DropPath(0.1)


def instead(sizes):
    """Keras's."""
    return keras.layers.Dropout(0.1)
