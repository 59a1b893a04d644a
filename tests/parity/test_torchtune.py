"""Parity with torchtune."""

import numpy as np
import pytest
from arrays import close, random
from parity.upstream import alone, copy, randomised, run, torch

from layerzoo import GatedMLP, RotaryEmbedding

feed_forward = alone("torchtune.modules.feed_forward")
position_embeddings = alone("torchtune.modules.position_embeddings")
nn = torch.nn


@pytest.mark.parametrize(("base", "width"), [(10_000, 8), (500_000, 6)])
def test_rotary_embedding(base, width):
    theirs = position_embeddings.RotaryPositionalEmbeddings(width, max_seq_len=40, base=base)
    layer = RotaryEmbedding(base, layout="interleaved")
    x, offset = random(2, 20, 3, width), np.array([15, 4])
    close(layer(x), run(theirs, x))
    close(layer(x, offset=offset), run(theirs, x, input_pos=offset[:, None] + np.arange(20)))


@pytest.mark.parametrize(
    ("activation", "module"), [("silu", nn.SiLU()), ("gelu", nn.GELU()), ("relu", nn.ReLU())]
)
@pytest.mark.parametrize("use_bias", [True, False])
def test_gated_mlp(use_bias, activation, module):
    theirs = randomised(
        feed_forward.FeedForward(
            gate_proj=nn.Linear(8, 24, use_bias),
            up_proj=nn.Linear(8, 24, use_bias),
            down_proj=nn.Linear(24, 5, use_bias),
            activation=module,
        )
    )
    layer = GatedMLP(24, 5, activation, use_bias=use_bias)
    layer.build((None, None, 8))
    copy(theirs.w1, layer.gate)
    copy(theirs.w3, layer.up)
    copy(theirs.w2, layer.down)
    x = random(2, 5, 8)
    close(layer(x), run(theirs, x))
