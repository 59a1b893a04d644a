"""Keras's own attention, whose keys and values have the width of the inputs."""

from layerzoo import MultiHeadLatentAttention
from layerzoo.cookbook.peers.self_attention import KerasSelfAttention

INSTEAD = "keras.layers.MultiHeadAttention, causal"
WORK = [dict(b=8, t=128, d=256), dict(b=4, t=512, d=256)]


def layer(sizes):
    """Ours."""
    return MultiHeadLatentAttention(8, latent_dim=sizes["d"] // 4, causal=True)


def instead(sizes):
    """Keras's."""
    return KerasSelfAttention()
