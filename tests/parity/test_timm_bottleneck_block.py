"""Parity of `BottleneckBlock` with timm, by the lines that its page shows."""

import numpy as np
import pytest
from arrays import close, random
from parity.images import both, with_statistics
from parity.upstream import run

from layerzoo import BottleneckBlock
from layerzoo.blocks.cards.bottleneck_block import CARD

resnet = pytest.importorskip("timm.models.resnet", reason="the block is compared with timm's")


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize(
    ("channels", "strides", "groups", "base_width", "squeeze_ratio"),
    [
        (128, 1, 1, 64, None),  # ResNet
        (64, 1, 1, 128, None),  # wide ResNet
        (64, 2, 1, 64, 16),  # SE-ResNet
        (64, 2, 8, 4 * 64 // 32, None),  # ResNeXt
    ],
)
def test_parity(channels, strides, groups, base_width, squeeze_ratio, data_format):
    filters = 128
    downsample = None
    if strides > 1 or channels != filters:
        downsample = resnet.downsample_conv(channels, filters, 1, strides)
    theirs = with_statistics(
        resnet.Bottleneck(
            channels,
            filters // 4,
            strides,
            downsample,
            groups,
            base_width,
            attn_layer="se" if squeeze_ratio else None,
        )
    )
    layer = BottleneckBlock(
        filters,
        strides,
        groups,
        theirs.conv2.out_channels,
        squeeze_ratio,
        data_format=data_format,
    )
    both(theirs, layer, channels, CARD.weights_from["timm"])


def test_training_is_theirs_too():
    theirs = with_statistics(resnet.Bottleneck(32, 8)).train()
    layer = BottleneckBlock(32)
    layer.build((None, None, None, 32))
    CARD.weights_from["timm"](theirs, layer)
    x = random(4, 32, 9, 7)
    expected = run(theirs, x.copy())
    close(layer(np.moveaxis(x, 1, -1), training=True), np.moveaxis(expected, 1, -1))
    close(layer.middle_norm.moving_mean, theirs.bn2.running_mean.numpy())
