"""Attention: layers in which positions look at each other, and the parts they need."""

from layerzoo.attention.rotary_embedding import RotaryEmbedding
from layerzoo.attention.self_attention import SelfAttention

__all__ = ["RotaryEmbedding", "SelfAttention"]
