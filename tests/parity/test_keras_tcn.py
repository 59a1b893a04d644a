"""Parity of `TemporalBlock` with the block of keras-tcn, its weights copied over."""

import keras
import pytest
from arrays import close, random

from layerzoo import TemporalBlock

tcn = pytest.importorskip("tcn.tcn", reason="the other side of the comparison is keras-tcn")


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="keras-tcn needs TensorFlow")
@pytest.mark.parametrize(("kernel_size", "dilation"), [(2, 1), (3, 4)])
@pytest.mark.parametrize("filters", [6, 8])
def test_temporal_block(filters, kernel_size, dilation):
    theirs = tcn.ResidualBlock(dilation, filters, kernel_size, padding="causal")
    layer = TemporalBlock(filters, kernel_size, dilation)
    x = random(2, 12, 6)
    theirs.build(x.shape)
    layer.build(x.shape)
    first, second = (each for each in theirs.layers if isinstance(each, keras.layers.Conv1D))
    parts = {layer.convolve_1: first, layer.convolve_2: second}
    if filters != 6:
        parts[layer.project] = theirs.shape_match_conv
    for number, (own, their) in enumerate(parts.items()):
        weights = [random(*w.shape, seed=(number, i)) for i, w in enumerate(their.get_weights())]
        their.set_weights(weights)
        own.set_weights([w.reshape(own.shape) for w, own in zip(weights, own.weights, strict=True)])
    close(layer(x), theirs(x)[0])
