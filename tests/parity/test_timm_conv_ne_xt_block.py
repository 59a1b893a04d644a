"""Parity of `ConvNeXtBlock` with timm, by the lines that its page shows."""

import pytest
from parity.images import both
from parity.upstream import randomised

from layerzoo import ConvNeXtBlock
from layerzoo.blocks.cards.conv_ne_xt_block import CARD

convnext = pytest.importorskip("timm.models.convnext", reason="the block is compared with timm's")


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("conv_mlp", [False, True])
@pytest.mark.parametrize(
    ("channels", "kernel_size", "expansion", "response", "layer_scale"),
    [(16, 7, 4, False, 1e-6), (16, 7, 4, True, None), (8, 3, 2, True, 0.5)],
)
def test_parity(channels, kernel_size, expansion, response, layer_scale, conv_mlp, data_format):
    theirs = randomised(
        convnext.ConvNeXtBlock(
            channels,
            kernel_size=kernel_size,
            mlp_ratio=expansion,
            conv_mlp=conv_mlp,
            use_grn=response,
            ls_init_value=layer_scale,
        )
    )
    layer = ConvNeXtBlock(kernel_size, expansion, response, layer_scale, data_format=data_format)
    both(theirs, layer, channels, CARD.weights_from["timm"])
