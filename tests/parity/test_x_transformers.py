"""Parity with x-transformers."""

import numpy as np
import pytest
from arrays import close, random
from parity.upstream import number, randomised, run, torch

from layerzoo import AlibiBias, RelativePositionBias, RotaryEmbedding

theirs = pytest.importorskip(
    "x_transformers.x_transformers", reason="these layers are compared with x-transformers"
)


@pytest.mark.parametrize(("base", "scaling", "width"), [(1e4, 1.0, 8), (5e5, 4.0, 6)])
def test_rotary_embedding(base, scaling, width):
    angles, _ = theirs.RotaryEmbedding(width, base=base, interpolation_factor=scaling)(
        torch.arange(20)
    )
    x = random(2, 20, 3, width)
    heads_first = np.swapaxes(x, 1, 2)
    expected = run(theirs.apply_rotary_pos_emb, heads_first, freqs=angles)
    layer = RotaryEmbedding(base, layout="interleaved", scaling=scaling)
    close(layer(x), np.swapaxes(expected, 1, 2))
    later = run(theirs.apply_rotary_pos_emb, heads_first[:, :, 15:], freqs=angles)
    close(layer(x[:, 15:], offset=15), np.swapaxes(later, 1, 2))


@pytest.mark.parametrize("heads", [1, 2, 3, 8, 12, 20])
@pytest.mark.parametrize(("queries", "keys"), [(7, 7), (1, 9), (3, 40)])
def test_alibi_bias(heads, queries, keys):
    bias = run(theirs.AlibiPositionalBias(heads), queries, keys)
    scores = random(2, heads, queries, keys)
    # their last query stands beside the last key
    close(AlibiBias()(scores, offset=keys - queries), scores + bias)


@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize(("buckets", "distance"), [(32, 128), (16, 20), (8, 50)])
@pytest.mark.parametrize(("queries", "keys"), [(160, 160), (1, 300)])
def test_relative_position_bias(buckets, distance, bidirectional, queries, keys):
    module = randomised(
        theirs.RelativePositionBias(1.0, not bidirectional, buckets, distance, heads=4)
    )
    layer = RelativePositionBias(buckets, distance, bidirectional)
    layer.build((None, 4, None, None))
    layer.embeddings.assign(number(module.relative_attention_bias.weight))
    scores = random(1, 4, queries, keys)
    expected = scores + run(module, queries, keys)
    close(layer(scores, offset=keys - queries), expected)
