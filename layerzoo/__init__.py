"""The layers that Keras does not ship: attention, residual blocks and gated units.

Importing the package registers every layer with Keras, so that `keras.saving.load_model` finds it.
"""

from layerzoo._backend import import_keras

import_keras()

from layerzoo.attention import (
    AlibiBias,
    AttentionPooling,
    ConvolutionalBlockAttention,
    CrossAttention,
    DifferentialAttention,
    EfficientChannelAttention,
    GatedAttentionPooling,
    LinearAttention,
    MultiHeadLatentAttention,
    PerceiverResampler,
    RelativePositionBias,
    RotaryEmbedding,
    SelfAttention,
    SqueezeExcite,
    WindowAttention,
)
from layerzoo.catalogue import Card, Traits, catalogue, find
from layerzoo.gated import GatedMLP
from layerzoo.residual import DropPath, Residual

__all__ = [
    "AlibiBias",
    "AttentionPooling",
    "Card",
    "ConvolutionalBlockAttention",
    "CrossAttention",
    "DifferentialAttention",
    "DropPath",
    "EfficientChannelAttention",
    "GatedAttentionPooling",
    "GatedMLP",
    "LinearAttention",
    "MultiHeadLatentAttention",
    "PerceiverResampler",
    "RelativePositionBias",
    "Residual",
    "RotaryEmbedding",
    "SelfAttention",
    "SqueezeExcite",
    "Traits",
    "WindowAttention",
    "catalogue",
    "find",
]
