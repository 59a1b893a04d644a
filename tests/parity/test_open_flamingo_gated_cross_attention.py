"""Parity with OpenFlamingo's gated cross-attention, and with torchtune's gate."""

import numpy as np
import pytest
from arrays import close, random
from keras import ops
from parity.upstream import alone, copy, copy_fused, number, randomised, run, torch

from layerzoo import GatedCrossAttention

nn = torch.nn


def copy_norm(module, norm):
    norm.set_weights([number(module.weight), number(module.bias)])


@pytest.mark.parametrize(("heads", "head_dim", "multiple"), [(2, 6, 4), (4, 16, 2)])
def test_gated_cross_attention_block(heads, head_dim, multiple):
    pytest.importorskip("einops_exts", reason="OpenFlamingo needs it")
    helpers = alone("open_flamingo.src.helpers")
    theirs = randomised(
        helpers.GatedCrossAttentionBlock(
            dim=16, dim_visual=12, dim_head=head_dim, heads=heads, ff_mult=multiple
        )
    )
    layer = GatedCrossAttention(heads, head_dim=head_dim, hidden_dim=16 * multiple, use_bias=False)
    layer.build((None, None, 16), (None, None, 12))
    copy_norm(theirs.attn.norm, layer.attention_norm)
    copy(theirs.attn.to_q, layer.attention.project_query)
    copy_fused(theirs.attn.to_kv, layer.attention.project_context, heads, 2)
    copy(theirs.attn.to_out, layer.attention.project_out)
    norm, expand, _, contract = theirs.ff
    copy_norm(norm, layer.expand_norm)
    copy(expand, layer.expand)
    copy(contract, layer.contract)
    layer.alpha.assign(number(theirs.attn_gate)[0])
    layer.beta.assign(number(theirs.ff_gate)[0])

    text, image = random(2, 5, 16), random(2, 1, 9, 12, seed=1)  # one image of nine latents
    first = np.arange(5)[None] == [
        [0],
        [0],
    ]  # where the image is, so that all of the text follows it
    expected = run(theirs, text, image, media_locations=first)
    close(layer(text, context=image[:, 0]), expected)


@pytest.mark.parametrize("gate", ["alpha", "beta"])
def test_tanh_gate(gate):
    theirs = randomised(alone("torchtune.modules.tanh_gate").TanhGate())
    layer = GatedCrossAttention(2)
    x, context = random(2, 5, 8), random(2, 3, 6, seed=1)
    layer(x, context=context)
    weight = getattr(layer, gate)
    weight.assign(20.0)  # an open gate: the branch as it is
    branch = ops.convert_to_numpy(layer(x, context=context)) - x
    weight.assign(number(theirs.scale)[0])
    close(ops.convert_to_numpy(layer(x, context=context)) - x, run(theirs, branch))
