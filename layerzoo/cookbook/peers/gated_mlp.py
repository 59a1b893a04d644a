"""A plain MLP of as many parameters: two maps, and a hidden layer half as wide again."""

import keras

from layerzoo import GatedMLP

INSTEAD = "Dense, SiLU, Dense with 3/2 of the hidden width"
WORK = [dict(b=8, t=128, d=256), dict(b=4, t=512, d=256)]


def layer(sizes):
    """Ours."""
    return GatedMLP(2 * sizes["d"])


def instead(sizes):
    """Two dense layers."""
    return keras.Sequential(
        [keras.layers.Dense(3 * sizes["d"], activation="silu"), keras.layers.Dense(sizes["d"])]
    )
