"""Parity of `ResNetBlock` with timm, by the lines that its page shows."""

from functools import partial

import numpy as np
import pytest
from arrays import close, random
from parity.images import both, with_statistics
from parity.upstream import run

from layerzoo import ResNetBlock
from layerzoo.blocks.cards.res_net_block import CARD

resnet = pytest.importorskip("timm.models.resnet", reason="the block is compared with timm's")
resnetv2 = pytest.importorskip("timm.models.resnetv2")
timm_layers = pytest.importorskip("timm.layers")


def basic(channels, filters, strides):
    downsample = None
    if strides > 1 or channels != filters:
        downsample = resnet.downsample_conv(channels, filters, 1, strides)
    return resnet.BasicBlock(channels, filters, strides, downsample)


def preactivated(channels, filters, strides):
    return resnetv2.PreActBasic(
        channels,
        filters,
        stride=strides,
        conv_layer=partial(timm_layers.create_conv2d, bias=False),
        norm_layer=timm_layers.BatchNormAct2d,
        proj_layer=resnetv2.DownsampleConv,
    )


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize(("channels", "filters", "strides"), [(8, 8, 1), (8, 16, 1), (8, 16, 2)])
@pytest.mark.parametrize("make", [basic, preactivated])
def test_parity(make, channels, filters, strides, data_format):
    theirs = with_statistics(make(channels, filters, strides))
    layer = ResNetBlock(
        filters, strides=strides, preactivation=make is preactivated, data_format=data_format
    )
    both(theirs, layer, channels, CARD.weights_from["timm"])


@pytest.mark.parametrize("make", [basic, preactivated])
def test_training_is_theirs_too(make):
    theirs = with_statistics(make(8, 16, 1)).train()
    layer = ResNetBlock(16, preactivation=make is preactivated)
    layer.build((None, None, None, 8))
    CARD.weights_from["timm"](theirs, layer)
    x = random(4, 8, 9, 7)
    expected = run(theirs, x.copy())
    close(layer(np.moveaxis(x, 1, -1), training=True), np.moveaxis(expected, 1, -1))
    norm = theirs.norm1 if make is preactivated else theirs.bn1
    close(layer.norm_1.moving_mean, norm.running_mean.numpy())
