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
from layerzoo.gated import (
    GLU,
    AdaptiveLayerNorm,
    FiLM,
    GatedCrossAttention,
    GatedMLP,
    GatedNorm,
    GatedResidualNetwork,
    Highway,
    MixtureOfExperts,
    VariableSelection,
)
from layerzoo.positions import (
    AlibiBias,
    AxialRotaryEmbedding,
    RelativePositionBias,
    RotaryEmbedding,
)
from layerzoo.recurrence import (
    RGLRU,
    GatedDeltaNet,
    GatedLinearAttention,
    MinGRU,
    MinLSTM,
    SelectiveStateSpace,
    ShortConvolution,
)
from layerzoo.residual import DropPath, HyperConnections, LayerScale, Residual, ReZero

__all__ = [
    "GLU",
    "RGLRU",
    "AdaptiveLayerNorm",
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
    "FiLM",
    "GatedAttentionPooling",
    "GatedCrossAttention",
    "GatedDeltaNet",
    "GatedLinearAttention",
    "GatedMLP",
    "GatedNorm",
    "GatedResidualNetwork",
    "Highway",
    "HyperConnections",
    "InvertedResidual",
    "LayerScale",
    "LinearAttention",
    "MinGRU",
    "MinLSTM",
    "MixtureOfExperts",
    "MultiHeadLatentAttention",
    "PerceiverResampler",
    "ReZero",
    "RelativePositionBias",
    "ResNetBlock",
    "Residual",
    "RotaryEmbedding",
    "SelectiveStateSpace",
    "SelfAttention",
    "ShortConvolution",
    "SqueezeExcite",
    "TemporalBlock",
    "Traits",
    "TransformerDecoderBlock",
    "TransformerEncoderBlock",
    "VariableSelection",
    "WaveNetBlock",
    "WindowAttention",
    "catalogue",
    "find",
]

# Written by hand.
from layerzoo import distribution as distribution

keep_old_places()
