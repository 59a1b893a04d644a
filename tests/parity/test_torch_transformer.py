"""Parity of the Transformer blocks with PyTorch's layers, their weights carried over as the pages show."""

import numpy as np
import pytest
from arrays import INSIDE, LEFT, RIGHT, by_group, close, random
from keras import ops
from parity.upstream import randomised, run, torch

from layerzoo import TransformerDecoderBlock, TransformerEncoderBlock

nn = torch.nn


def values(module):
    """Keras's kernel and bias of a linear map of PyTorch, or a norm's two weights."""
    return [weight.detach().numpy().T for weight in (module.weight, module.bias)]


def load_attention(attention, theirs):
    """Gives a `SelfAttention` the weights of PyTorch's, which orders the columns by kind, then by head."""
    fused = (theirs.in_proj_weight, theirs.in_proj_bias)
    kinds = (np.split(weight.detach().numpy().T, 3, axis=-1) for weight in fused)
    attention.project_in.set_weights([by_group(attention.num_heads, *kind) for kind in kinds])
    attention.project_out.set_weights(values(theirs.out_proj))


def load_cross_attention(attention, theirs):
    """The same for a `CrossAttention`, which has a projection of its own for the queries."""
    fused = (theirs.in_proj_weight, theirs.in_proj_bias)
    kinds = [np.split(weight.detach().numpy().T, 3, axis=-1) for weight in fused]
    attention.project_query.set_weights([query for query, _, _ in kinds])
    attention.project_context.set_weights([by_group(attention.num_heads, *kv) for _, *kv in kinds])
    attention.project_out.set_weights(values(theirs.out_proj))


def load_rest(block, theirs, last_norm):
    """The self-attention, the MLP and their norms, which both blocks have."""
    attention, (expand, _, contract, _) = block.attend.layer[0], block.feed.layer
    load_attention(attention, theirs.self_attn)
    expand.set_weights(values(theirs.linear1))
    contract.set_weights(values(theirs.linear2))
    norm = "norm_in" if block.norm_first else "norm_out"
    getattr(block.attend, norm).set_weights(values(theirs.norm1))
    getattr(block.feed, norm).set_weights(values(last_norm))


@pytest.mark.parametrize("mask", [None, [RIGHT, INSIDE]])
@pytest.mark.parametrize("activation", ["relu", "gelu"])
@pytest.mark.parametrize("norm_first", [False, True])
@pytest.mark.parametrize(("heads", "width"), [(1, 6), (4, 16)])
def test_transformer_encoder_block(heads, width, norm_first, activation, mask):
    theirs = randomised(
        nn.TransformerEncoderLayer(
            width, heads, 24, activation=activation, norm_first=norm_first, batch_first=True
        )
    )
    block = TransformerEncoderBlock(heads, 24, norm_first, activation)
    block.build((None, None, width))
    load_rest(block, theirs, theirs.norm2)

    x = random(2, 5, width)
    if mask is None:
        close(block(x), run(theirs, x))
        return
    mask = np.array(mask, bool)  # at padding, neither promises anything
    expected = run(theirs, x, src_key_padding_mask=~mask)
    close(ops.convert_to_numpy(block(x, mask=mask))[mask], expected[mask])


@pytest.mark.parametrize("masks", [None, ([RIGHT, RIGHT], [RIGHT, LEFT])])
@pytest.mark.parametrize("activation", ["relu", "gelu"])
@pytest.mark.parametrize("norm_first", [False, True])
@pytest.mark.parametrize(("heads", "width"), [(1, 6), (4, 16)])
def test_transformer_decoder_block(heads, width, norm_first, activation, masks):
    theirs = randomised(
        nn.TransformerDecoderLayer(
            width, heads, 24, activation=activation, norm_first=norm_first, batch_first=True
        )
    )
    block = TransformerDecoderBlock(heads, 24, norm_first, activation)
    block.build((None, None, width), (None, None, width))
    load_rest(block, theirs, theirs.norm3)
    load_cross_attention(block.cross, theirs.multihead_attn)
    block.cross_norm.set_weights(values(theirs.norm2))

    x, context = random(2, 5, width), random(2, 5, width, seed=1)
    causal = dict(tgt_mask=np.triu(np.ones((5, 5), bool), 1))
    if masks is None:
        close(block(x, context=context), run(theirs, x, context, **causal))
        return
    mask, seen = np.array(masks, bool)
    padding = dict(tgt_key_padding_mask=~mask, memory_key_padding_mask=~seen)
    expected = run(theirs, x, context, **causal, **padding)
    found = ops.convert_to_numpy(block(x, context=context, context_mask=seen, mask=mask))
    close(found[mask], expected[mask])


@pytest.mark.parametrize("norm_first", [False, True])
def test_without_a_context_it_is_an_encoder_layer_that_sees_no_later_step(norm_first):
    theirs = randomised(
        nn.TransformerEncoderLayer(8, 2, 12, norm_first=norm_first, batch_first=True)
    )
    block = TransformerDecoderBlock(2, 12, norm_first)
    block.build((None, None, 8))
    load_rest(block, theirs, theirs.norm2)
    x = random(2, 5, 8)
    close(block(x), run(theirs, x, src_mask=np.triu(np.ones((5, 5), bool), 1)))
