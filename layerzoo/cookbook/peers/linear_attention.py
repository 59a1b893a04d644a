"""Keras's own attention, causal, which compares every step with every other."""

from layerzoo import LinearAttention
from layerzoo.cookbook.peers.self_attention import KerasSelfAttention

INSTEAD = "keras.layers.MultiHeadAttention, causal"
WORK = [dict(b=1, t=1024, d=512), dict(b=1, t=2048, d=512), dict(b=1, t=4096, d=512)]
LONG = [dict(b=1, t=t, d=512, alone=True) for t in (1024, 2048, 4096, 8192, 16384)]


def layer(sizes):
    """Ours."""
    return LinearAttention(8, causal=True)


def instead(sizes):
    """Keras's."""
    return KerasSelfAttention()
