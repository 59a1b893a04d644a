"""Blocks: the units that are stacked in Transformers and convolutional networks."""

# Written by `layerzoo docs` from the files beside it.
from layerzoo.blocks.bottleneck_block import BottleneckBlock
from layerzoo.blocks.conv_ne_xt_block import ConvNeXtBlock
from layerzoo.blocks.inverted_residual import InvertedResidual
from layerzoo.blocks.res_net_block import ResNetBlock
from layerzoo.blocks.temporal_block import TemporalBlock
from layerzoo.blocks.transformer_decoder_block import TransformerDecoderBlock
from layerzoo.blocks.transformer_encoder_block import TransformerEncoderBlock
from layerzoo.blocks.wave_net_block import WaveNetBlock

__all__ = [
    "BottleneckBlock",
    "ConvNeXtBlock",
    "InvertedResidual",
    "ResNetBlock",
    "TemporalBlock",
    "TransformerDecoderBlock",
    "TransformerEncoderBlock",
    "WaveNetBlock",
]
