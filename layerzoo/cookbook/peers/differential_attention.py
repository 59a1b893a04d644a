"""Keras's own attention, with twice the heads: as many weights, and one softmax where ours has two."""

from layerzoo import DifferentialAttention
from layerzoo.cookbook.peers.self_attention import KerasSelfAttention

INSTEAD = "keras.layers.MultiHeadAttention, causal"
WORK = [dict(b=8, t=128, d=256), dict(b=4, t=512, d=256)]


def layer(sizes):
    """Ours."""
    return DifferentialAttention(4, causal=True)


def instead(sizes):
    """Keras's."""
    return KerasSelfAttention()
