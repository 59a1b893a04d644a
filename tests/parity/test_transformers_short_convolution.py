"""Parity of the gated short convolution with transformers' LFM2."""

import pytest
from arrays import close, random
from parity.upstream import copy, number, randomised, run, step_by_step

from layerzoo import ShortConvolution

transformers = pytest.importorskip(
    "transformers", reason="the layer is compared with that of transformers"
)
lfm2 = pytest.importorskip("transformers.models.lfm2.modeling_lfm2")


@pytest.mark.parametrize("use_bias", [False, True])
def test_short_convolution_of_lfm2(use_bias):
    config = transformers.Lfm2Config(hidden_size=8, conv_L_cache=3, conv_bias=use_bias)
    theirs = randomised(lfm2.Lfm2ShortConv(config, layer_idx=0))
    layer = ShortConvolution(3, activation=None, gated=True, use_bias=use_bias)
    layer.build((None, None, 8))
    copy(theirs.in_proj, layer.project_in)
    copy(theirs.out_proj, layer.project_out)
    layer.kernel.assign(number(theirs.conv.weight).transpose(2, 1, 0))
    if use_bias:
        layer.bias.assign(number(theirs.conv.bias))
    x = random(2, 9, 8)
    expected = run(theirs, x)
    close(layer(x), expected)
    close(step_by_step(layer, x), expected)
