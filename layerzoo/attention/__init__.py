"""Attention: layers in which positions look at each other, and the parts they need."""

from layerzoo.attention.alibi_bias import AlibiBias
from layerzoo.attention.attention_pooling import AttentionPooling
from layerzoo.attention.convolutional_block_attention import ConvolutionalBlockAttention
from layerzoo.attention.cross_attention import CrossAttention
from layerzoo.attention.differential_attention import DifferentialAttention
from layerzoo.attention.efficient_channel_attention import EfficientChannelAttention
from layerzoo.attention.gated_attention_pooling import GatedAttentionPooling
from layerzoo.attention.linear_attention import LinearAttention
from layerzoo.attention.multi_head_latent_attention import MultiHeadLatentAttention
from layerzoo.attention.perceiver_resampler import PerceiverResampler
from layerzoo.attention.relative_position_bias import RelativePositionBias
from layerzoo.attention.rotary_embedding import RotaryEmbedding
from layerzoo.attention.self_attention import SelfAttention
from layerzoo.attention.squeeze_excite import SqueezeExcite
from layerzoo.attention.window_attention import WindowAttention

__all__ = [
    "AlibiBias",
    "AttentionPooling",
    "ConvolutionalBlockAttention",
    "CrossAttention",
    "DifferentialAttention",
    "EfficientChannelAttention",
    "GatedAttentionPooling",
    "LinearAttention",
    "MultiHeadLatentAttention",
    "PerceiverResampler",
    "RelativePositionBias",
    "RotaryEmbedding",
    "SelfAttention",
    "SqueezeExcite",
    "WindowAttention",
]
