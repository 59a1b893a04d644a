"""The layers that Keras does not ship: attention, residual blocks and gated units.

Importing the package registers every layer with Keras, so that `keras.saving.load_model` finds it.
"""

from layerzoo._backend import import_keras
from layerzoo._moved import keep_old_places

import_keras()

__version__ = "0.1.0"

# Written by `layerzoo docs` from the files beside it.
from layerzoo.attention import (
    AttentionPooling,
    CrossAttention,
    DifferentialAttention,
    GatedAttentionPooling,
    LinearAttention,
    MultiHeadLatentAttention,
    PerceiverResampler,
    SelfAttention,
    WindowAttention,
)
from layerzoo.blocks import (
    BottleneckBlock,
    ConvNeXtBlock,
    InvertedResidual,
    ResNetBlock,
    TemporalBlock,
    TransformerDecoderBlock,
    TransformerEncoderBlock,
    WaveNetBlock,
)
from layerzoo.catalogue import Card, Traits, catalogue, find
from layerzoo.channels import (
    AttentionGate,
    ConvolutionalBlockAttention,
    EfficientChannelAttention,
    SqueezeExcite,
)
from layerzoo.gated import GatedMLP
from layerzoo.positions import (
    AlibiBias,
    AxialRotaryEmbedding,
    RelativePositionBias,
    RotaryEmbedding,
)
from layerzoo.recurrence import GatedDeltaNet, GatedLinearAttention, SelectiveStateSpace
from layerzoo.residual import DropPath, HyperConnections, LayerScale, Residual, ReZero

__all__ = [
    "AlibiBias",
    "AttentionGate",
    "AttentionPooling",
    "AxialRotaryEmbedding",
    "BottleneckBlock",
    "Card",
    "ConvNeXtBlock",
    "ConvolutionalBlockAttention",
    "CrossAttention",
    "DifferentialAttention",
    "DropPath",
    "EfficientChannelAttention",
    "GatedAttentionPooling",
    "GatedDeltaNet",
    "GatedLinearAttention",
    "GatedMLP",
    "HyperConnections",
    "InvertedResidual",
    "LayerScale",
    "LinearAttention",
    "MultiHeadLatentAttention",
    "PerceiverResampler",
    "ReZero",
    "RelativePositionBias",
    "ResNetBlock",
    "Residual",
    "RotaryEmbedding",
    "SelectiveStateSpace",
    "SelfAttention",
    "SqueezeExcite",
    "TemporalBlock",
    "Traits",
    "TransformerDecoderBlock",
    "TransformerEncoderBlock",
    "WaveNetBlock",
    "WindowAttention",
    "catalogue",
    "find",
]

# Written by hand.
from layerzoo import distribution as distribution

keep_old_places()
