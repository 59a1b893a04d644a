"""Parity of the Transformer blocks with PyTorch's layers, by the lines that their pages show."""

import numpy as np
import pytest
from arrays import INSIDE, LEFT, RIGHT, close, random
from keras import ops
from parity.upstream import randomised, run, torch

from layerzoo import TransformerDecoderBlock, TransformerEncoderBlock
from layerzoo.blocks.cards.transformer_decoder_block import CARD as DECODER
from layerzoo.blocks.cards.transformer_encoder_block import CARD as ENCODER

nn = torch.nn


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
    ENCODER.weights_from["torch"](theirs, block)

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
    DECODER.weights_from["torch"](theirs, block)

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
    ENCODER.weights_from["torch"](theirs, block)
    x = random(2, 5, 8)
    close(block(x), run(theirs, x, src_mask=np.triu(np.ones((5, 5), bool), 1)))
