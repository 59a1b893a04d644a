"""Parity of `LayerScale` with timm's, in both data formats."""

import pytest
from arrays import close, random
from keras import ops
from parity.upstream import number, randomised, run

from layerzoo import LayerScale

timm = pytest.importorskip("timm", reason="this layer is compared with timm's")


@pytest.mark.parametrize(
    ("theirs", "data_format", "shape"),
    [
        ("LayerScale", "channels_last", (2, 5, 6)),
        ("LayerScale", "channels_last", (2, 3, 4, 6)),
        ("LayerScale2d", "channels_first", (2, 6, 3, 4)),
    ],
)
def test_layer_scale(theirs, data_format, shape):
    theirs = getattr(timm.layers, theirs)(6)
    layer = LayerScale(data_format=data_format)
    layer.build(shape)
    close(layer.gamma, number(theirs.gamma), relative=0)  # the same start value
    randomised(theirs)
    layer.gamma.assign(number(theirs.gamma))
    x = random(*shape)
    close(layer(x), run(theirs, ops.convert_to_numpy(x)))
