"""Channels: gates that rescale the channels of an image or a sequence."""

# Written by `layerzoo docs` from the files beside it.
from layerzoo.channels.attention_gate import AttentionGate
from layerzoo.channels.convolutional_block_attention import ConvolutionalBlockAttention
from layerzoo.channels.efficient_channel_attention import EfficientChannelAttention
from layerzoo.channels.squeeze_excite import SqueezeExcite

__all__ = [
    "AttentionGate",
    "ConvolutionalBlockAttention",
    "EfficientChannelAttention",
    "SqueezeExcite",
]
