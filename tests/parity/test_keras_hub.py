"""Parity with KerasHub, on the backend that both run on."""

import numpy as np
import pytest
from arrays import close, random
from keras import ops

from layerzoo import AlibiBias, RotaryEmbedding

keras_hub = pytest.importorskip("keras_hub", reason="these layers are compared with KerasHub's")


@pytest.mark.parametrize("offset", [0, 15])
@pytest.mark.parametrize(("base", "scaling"), [(1e4, 1.0), (5e5, 4.0)])
@pytest.mark.parametrize("shape", [(2, 20, 3, 8), (2, 20, 6)])
def test_rotary_embedding(shape, base, scaling, offset):
    theirs = keras_hub.layers.RotaryEmbedding(max_wavelength=base, scaling_factor=scaling)
    x = random(*shape)
    layer = RotaryEmbedding(base, scaling=scaling)
    close(layer(x, offset=offset), theirs(x, start_index=offset))


@pytest.mark.parametrize("heads", [1, 2, 3, 8, 12, 20])
def test_alibi_bias(heads):
    scores = random(2, heads, 9, 9)
    # theirs measures from the last key, which a causal softmax takes out again
    close(weights(AlibiBias()(scores)), weights(keras_hub.layers.AlibiBias()(scores)))


def weights(scores):
    return ops.softmax(ops.where(np.tri(9, dtype=bool), scores, -np.inf))
