"""Attention: layers in which each step or pixel weights information from others."""

# Written by `layerzoo docs` from the files beside it.
from layerzoo.attention.attention_pooling import AttentionPooling
from layerzoo.attention.cross_attention import CrossAttention
from layerzoo.attention.differential_attention import DifferentialAttention
from layerzoo.attention.gated_attention_pooling import GatedAttentionPooling
from layerzoo.attention.linear_attention import LinearAttention
from layerzoo.attention.multi_head_latent_attention import MultiHeadLatentAttention
from layerzoo.attention.perceiver_resampler import PerceiverResampler
from layerzoo.attention.self_attention import SelfAttention
from layerzoo.attention.window_attention import WindowAttention

__all__ = [
    "AttentionPooling",
    "CrossAttention",
    "DifferentialAttention",
    "GatedAttentionPooling",
    "LinearAttention",
    "MultiHeadLatentAttention",
    "PerceiverResampler",
    "SelfAttention",
    "WindowAttention",
]
