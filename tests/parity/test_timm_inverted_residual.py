"""Parity of `InvertedResidual` with timm, by the lines that its page shows."""

from functools import partial

import numpy as np
import pytest
from arrays import close, random
from parity.images import both, outputs, with_statistics
from parity.upstream import run, torch

from layerzoo import InvertedResidual
from layerzoo.blocks.cards.inverted_residual import CARD

efficientnet = pytest.importorskip(
    "timm.models._efficientnet_blocks", reason="the block is compared with timm's"
)


def theirs_with(channels, filters, expansion, size, strides, squeeze, pad_type=""):
    settings = dict(stride=strides, pad_type=pad_type, act_layer=torch.nn.SiLU)
    if squeeze:
        squeeze = 1 / (4 * expansion)
        settings["se_layer"] = partial(efficientnet.SqueezeExcite, rd_ratio=squeeze)
    if expansion == 1:
        block = efficientnet.DepthwiseSeparableConv(channels, filters, size, **settings)
    else:
        block = efficientnet.InvertedResidual(
            channels, filters, size, exp_ratio=expansion, **settings
        )
    return with_statistics(block)


def ours_with(filters, expansion, size, strides, squeeze, data_format="channels_last"):
    return InvertedResidual(
        filters,
        expansion,
        size,
        strides,
        4 * expansion if squeeze else None,
        activation="silu",
        data_format=data_format,
    )


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("squeeze", [False, True])
@pytest.mark.parametrize(
    ("channels", "filters", "expansion", "size", "strides"),
    [(16, 16, 6, 3, 1), (16, 24, 6, 5, 1), (8, 16, 4, 3, 2), (16, 16, 1, 3, 1), (16, 8, 1, 3, 2)],
)
def test_parity(channels, filters, expansion, size, strides, squeeze, data_format):
    settings = (filters, expansion, size, strides, squeeze)
    layer = ours_with(*settings, data_format)
    both(theirs_with(channels, *settings), layer, channels, CARD.weights_from["timm"])


@pytest.mark.parametrize("expansion", [1, 6])
@pytest.mark.parametrize("size", [3, 5])
def test_models_of_timm_for_weights_of_tensorflow_pad_as_we_do(size, expansion):
    settings = (24, expansion, size, 2, True)
    theirs = theirs_with(16, *settings, pad_type="same")
    layer = ours_with(*settings)
    layer.build((None, None, None, 16))
    CARD.weights_from["timm"](theirs, layer)
    for height, width in ((8, 6), (7, 8)):
        x = random(2, 16, height, width)
        close(outputs(layer, x), run(theirs, x.copy()))


def test_training_is_theirs_too():
    theirs = theirs_with(16, 16, 6, 3, 1, True).train()
    layer = ours_with(16, 6, 3, 1, True)
    layer.build((None, None, None, 16))
    CARD.weights_from["timm"](theirs, layer)
    x = random(4, 16, 9, 7)
    expected = run(theirs, x.copy())
    close(layer(np.moveaxis(x, 1, -1), training=True), np.moveaxis(expected, 1, -1))
    close(layer.depthwise_norm.moving_mean, theirs.bn2.running_mean.numpy())
