"""Parity of the recurrence of Griffin with transformers' RecurrentGemma."""

import numpy as np
import pytest
from arrays import close, random
from parity.upstream import number, randomised, run, step_by_step, torch

from layerzoo import RGLRU

transformers = pytest.importorskip(
    "transformers", reason="the layer is compared with that of transformers"
)
gemma = pytest.importorskip("transformers.models.recurrent_gemma.modeling_recurrent_gemma")


def blocks(weights):
    """A block-diagonal matrix of PyTorch's weights."""
    heads, width, _ = weights.shape
    whole = np.zeros((heads * width, heads * width))
    for i, block in enumerate(number(weights)):
        whole[i * width : (i + 1) * width, i * width : (i + 1) * width] = block
    return whole


def test_recurrence_of_recurrent_gemma():
    config = transformers.RecurrentGemmaConfig(lru_width=8, num_attention_heads=2, hidden_size=8)
    theirs = randomised(gemma.RecurrentGemmaRglru(config))
    layer = RGLRU(8)
    layer.build((None, None, 8))
    gates = theirs.recurrent_gate_weight, theirs.input_gate_weight
    layer.project.kernel.assign(np.concatenate([np.eye(8), *map(blocks, gates)], axis=-1))
    biases = theirs.recurrent_gate_bias, theirs.input_gate_bias
    layer.project.bias.assign(np.concatenate([np.zeros(8), *(number(b).ravel() for b in biases)]))
    layer.speed.assign(number(theirs.recurrent_param))
    x = random(2, 20, 8)
    places = torch.arange(1, 21)[None].expand(2, 20)  # at place 0 theirs leaves out the root
    expected = run(theirs, x, position_ids=places)
    close(layer(x), expected)
    close(step_by_step(layer, x), expected)
