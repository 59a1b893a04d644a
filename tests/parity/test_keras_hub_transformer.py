"""Parity of the Transformer blocks with KerasHub's, on the backend that both run on."""

import numpy as np
import pytest
from arrays import LEFT, RIGHT, by_group, close, random
from keras import ops

from layerzoo import TransformerDecoderBlock, TransformerEncoderBlock

keras_hub = pytest.importorskip("keras_hub", reason="these blocks are compared with KerasHub's")


def merged(projections):
    """Kernel and bias of each map of an `EinsumDense` per head, the heads side by side."""
    kernels = [ops.convert_to_numpy(each.kernel) for each in projections]
    biases = [ops.convert_to_numpy(each.bias).ravel() for each in projections]
    return [kernel.reshape(len(kernel), -1) for kernel in kernels], biases


def load(attention, theirs):
    """Gives an attention layer the weights of Keras's `MultiHeadAttention`."""
    maps = merged([theirs.query_dense, theirs.key_dense, theirs.value_dense])
    if hasattr(attention, "project_in"):
        attention.project_in.set_weights([by_group(attention.num_heads, *each) for each in maps])
    else:
        attention.project_query.set_weights([query for query, *_ in maps])
        attention.project_context.set_weights(
            [by_group(attention.num_heads, *kv) for _, *kv in maps]
        )
    kernel, bias = theirs.output_dense.kernel, theirs.output_dense.bias
    kernel = ops.convert_to_numpy(kernel)
    attention.project_out.set_weights([kernel.reshape(-1, kernel.shape[-1]), bias])


def load_mlp(block, theirs):
    expand, _, contract, _ = block.feed.layer
    expand.set_weights(theirs._feedforward_intermediate_dense.get_weights())
    contract.set_weights(theirs._feedforward_output_dense.get_weights())


@pytest.mark.parametrize("activation", ["relu", "gelu"])
@pytest.mark.parametrize("norm_first", [False, True])
def test_transformer_encoder_block(randomise, norm_first, activation):
    theirs = keras_hub.layers.TransformerEncoder(
        12, 2, activation=activation, normalize_first=norm_first
    )
    x, mask = random(2, 5, 8), np.array([LEFT, RIGHT], bool)
    theirs(x)
    randomise(theirs)
    block = TransformerEncoderBlock(2, 12, norm_first, activation)
    block.build(x.shape)
    load(block.attend.layer[0], theirs._self_attention_layer)
    load_mlp(block, theirs)
    norm = "norm_in" if norm_first else "norm_out"
    getattr(block.attend, norm).set_weights(theirs._self_attention_layer_norm.get_weights())
    getattr(block.feed, norm).set_weights(theirs._feedforward_layer_norm.get_weights())

    close(block(x), theirs(x))
    found, due = block(x, mask=mask), theirs(x, padding_mask=mask)
    close(ops.convert_to_numpy(found)[mask], ops.convert_to_numpy(due)[mask])


@pytest.mark.parametrize("with_context", [False, True])
@pytest.mark.parametrize("norm_first", [False, True])
def test_transformer_decoder_block(randomise, norm_first, with_context):
    theirs = keras_hub.layers.TransformerDecoder(12, 2, normalize_first=norm_first)
    x, context = random(2, 5, 8), random(2, 6, 8, seed=1) if with_context else None
    theirs(x, context)
    randomise(theirs)
    block = TransformerDecoderBlock(2, 12, norm_first)
    block(x, context=context)
    load(block.attend.layer[0], theirs._self_attention_layer)
    load_mlp(block, theirs)
    norm = "norm_in" if norm_first else "norm_out"
    getattr(block.attend, norm).set_weights(theirs._self_attention_layer_norm.get_weights())
    getattr(block.feed, norm).set_weights(theirs._feedforward_layer_norm.get_weights())
    if with_context:
        load(block.cross, theirs._cross_attention_layer)
        block.cross_norm.set_weights(theirs._cross_attention_layer_norm.get_weights())
    close(block(x, context=context), theirs(x, context))
