import keras
import numpy as np
import pytest
from arrays import LEFT, RIGHT, close, random
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers, ops

from layerzoo import (
    GatedMLP,
    RotaryEmbedding,
    SelfAttention,
    TransformerDecoderBlock,
    TransformerEncoderBlock,
)


def normalised(z, weights, name):
    """A layer normalisation of the last axis, in float64."""
    z = (z - z.mean(axis=-1, keepdims=True)) / np.sqrt(z.var(axis=-1, keepdims=True) + 1e-5)
    return z * weights[f"{name}/gamma"] + weights[f"{name}/beta"]


def linear(z, weights, name):
    return z @ weights[f"{name}/kernel"] + weights.get(f"{name}/bias", 0)


def attended(query, key, value, num_heads, seen):
    """Attention in float64, head by head and step by step; `seen(b, t)` says which keys count."""
    width, y = query.shape[-1] // num_heads, np.zeros_like(query)
    for b in range(len(query)):
        for n in range(num_heads):
            head = slice(n * width, (n + 1) * width)
            for t in range(query.shape[1]):
                scores = np.exp(key[b, :, head] @ query[b, t, head] / np.sqrt(width)) * seen(b, t)
                y[b, t, head] = scores @ value[b, :, head] / scores.sum()
    return y


def by_kind(z, num_heads, kinds):
    """Columns that are ordered by head, as one array for each kind."""
    z = z.reshape(*z.shape[:-1], num_heads, kinds, -1)
    return [z[..., kind, :].reshape(*z.shape[:-3], -1) for kind in range(kinds)]


def reference(x, c, weights, num_heads, norm_first, mask, context_mask):
    """The docstring's equations in float64, with loops over samples, heads and steps."""

    def self_attention(z):
        fused = linear(z, weights, "attention/query_key_value")
        earlier = np.tri(x.shape[1])
        heads = by_kind(fused, num_heads, 3)
        y = attended(*heads, num_heads, lambda b, t: mask[b] * earlier[t])
        return linear(y, weights, "attention/output")

    def cross_attention(z):
        query = linear(z, weights, "cross/query")
        heads = by_kind(linear(c, weights, "cross/key_value"), num_heads, 2)
        y = attended(query, *heads, num_heads, lambda b, t: context_mask[b])
        return linear(y, weights, "cross/output")

    def mlp(z):
        return linear(np.maximum(linear(z, weights, "expand"), 0), weights, "contract")

    place = "norm_in" if norm_first else "norm_out"
    for branch, norm in (
        (self_attention, f"attend/{place}"),
        (cross_attention, "cross_norm"),
        (mlp, f"feed/{place}"),
    ):
        if branch is cross_attention and c is None:
            continue
        if norm_first:
            x = x + branch(normalised(x, weights, norm))
        else:
            x = normalised(x + branch(x), weights, norm)
    return x


@settings(max_examples=20, deadline=None, derandomize=True, database=None)
@given(
    num_heads=st.sampled_from([1, 2]),
    hidden_dim=st.sampled_from([1, 7]),
    norm_first=st.booleans(),
    use_bias=st.booleans(),
    with_context=st.booleans(),
    masked=st.booleans(),
    seed=st.integers(0, 99),
)
def test_equals_the_reference(
    randomise, num_heads, hidden_dim, norm_first, use_bias, with_context, masked, seed
):
    layer = TransformerDecoderBlock(num_heads, hidden_dim, norm_first, use_bias=use_bias)
    x = random(2, 5, 6, seed=seed)
    context = random(2, 5, 3, seed=[seed, 1]) if with_context else None
    mask = np.array([RIGHT, RIGHT] if masked else np.ones((2, 5)), bool)
    context_mask = np.array([LEFT, RIGHT] if masked else np.ones((2, 5)), bool)
    masks = dict(mask=mask, context_mask=context_mask if with_context else None) if masked else {}
    layer(x, context=context)
    weights = randomise(layer, seed)
    expected = reference(x, context, weights, num_heads, norm_first, mask, context_mask)
    close(ops.convert_to_numpy(layer(x, context=context, **masks))[mask], expected[mask])


def test_a_later_step_changes_no_earlier_output_at_all(randomise):
    layer = TransformerDecoderBlock(2, 8, norm_first=True)
    x, context = random(1, 6, 8), random(1, 4, 8, seed=1)
    layer(x, context=context)
    randomise(layer)
    before = ops.convert_to_numpy(layer(x, context=context))
    x[:, 4] = 100
    after = ops.convert_to_numpy(layer(x, context=context))
    np.testing.assert_array_equal(after[:, :4], before[:, :4])
    assert (after[:, 4:] != before[:, 4:]).any()


def test_without_a_context_it_is_an_encoder_block_with_causal_attention(randomise):
    decoder = TransformerDecoderBlock(2, 8)
    encoder = TransformerEncoderBlock(attention=SelfAttention(2, causal=True), hidden_dim=8)
    x = random(2, 5, 6)
    decoder(x)
    encoder(x)
    randomise(decoder)
    encoder.set_weights(decoder.get_weights())
    close(encoder(x), decoder(x), relative=0)


def test_a_decoder_stands_in_a_sequential_model(tmp_path):
    blocks = [
        TransformerDecoderBlock(2, 8, norm_first=True),
        TransformerDecoderBlock(
            attention=SelfAttention(2, causal=True, position=RotaryEmbedding()), mlp=GatedMLP(5)
        ),
    ]
    model = keras.Sequential(
        [keras.Input((None,)), layers.Embedding(9, 8, mask_zero=True), *blocks, layers.Dense(9)]
    )
    tokens = np.array([[3, 1, 4, 0, 0], [1, 5, 8, 2, 6]])
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    close(loaded(tokens), model(tokens), relative=0)
    close(model(tokens)[:1, :3], model(tokens[:1, :3]))


def test_the_masks_of_two_embeddings_reach_it(tmp_path):
    source, target = keras.Input((None,)), keras.Input((None,))
    embed = layers.Embedding(9, 6, mask_zero=True)
    block = TransformerDecoderBlock(2, 8)
    model = keras.Model([target, source], block(embed(target), context=embed(source)))
    words, read = np.array([[3, 1, 4, 0, 0]]), np.array([[7, 2, 0, 0]])
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    found = loaded([words, read])
    close(found[:, :3], model([words[:, :3], read[:, :2]]))


@pytest.mark.parametrize("first", [False, True])
def test_a_context_comes_in_every_call_or_in_none(first):
    layer = TransformerDecoderBlock(2, 8)
    x, context = random(2, 5, 6), random(2, 4, 6)
    layer(x, context=context if first else None)
    with pytest.raises(ValueError, match="`context` must be passed in every call or in none"):
        layer(x, context=None if first else context)
    with pytest.raises(ValueError, match="`context` must be passed in every call or in none"):
        layer(keras.Input((5, 6)), context=None if first else keras.Input((4, 6)))


def test_cross_attention_needs_heads():
    layer = TransformerDecoderBlock(attention=SelfAttention(2, causal=True), hidden_dim=8)
    with pytest.raises(ValueError, match="`num_heads` must be a positive integer"):
        layer(random(2, 5, 6), context=random(2, 4, 6))
    assert not layer.built


def test_a_context_mask_without_a_context_is_refused():
    layer = TransformerDecoderBlock(2, 8)
    layer(random(2, 5, 6))
    with pytest.raises(ValueError, match="`context_mask` needs a `context`"):
        layer(random(2, 5, 6), context_mask=np.ones((2, 5), bool))


def test_in_training_every_branch_drops():
    x, context = random(8, 5, 6), random(8, 4, 6)
    for rates in (dict(drop_path=1.0), dict(dropout=1.0)):
        block = TransformerDecoderBlock(2, 8, norm_first=True, **rates)
        close(block(x, context=context, training=True), x, relative=0)
        assert not np.allclose(ops.convert_to_numpy(block(x, context=context)), x)


def test_each_place_that_drops_has_draws_of_its_own():
    block = TransformerDecoderBlock(2, 8, dropout=0.4, drop_path=0.3, seed=7)
    block.build((None, None, 6), (None, None, 6))
    seeds = [
        tuple(ops.convert_to_numpy(variable).ravel())
        for variable in block.variables
        if "seed" in variable.path
    ]
    assert len(seeds) == len(set(seeds)) == 9
