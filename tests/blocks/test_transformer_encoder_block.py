import json
import math

import keras
import numpy as np
import pytest
from arrays import LEFT, RIGHT, close, random
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers, ops

from layerzoo import GatedMLP, Residual, RotaryEmbedding, SelfAttention, TransformerEncoderBlock


def normalised(z, weights, name, epsilon):
    """A layer normalisation of the last axis, in float64."""
    z = (z - z.mean(axis=-1, keepdims=True)) / np.sqrt(z.var(axis=-1, keepdims=True) + epsilon)
    return z * weights[f"{name}/gamma"] + weights[f"{name}/beta"]


def linear(z, weights, name):
    return z @ weights[f"{name}/kernel"] + weights.get(f"{name}/bias", 0)


def attended(x, weights, num_heads, mask):
    """Self-attention in float64, head by head and step by step. The columns are ordered by head."""
    fused = linear(x, weights, "attention/query_key_value")
    width = x.shape[-1] // num_heads
    y = np.zeros_like(fused[..., : x.shape[-1]])
    for b in range(len(x)):
        for n in range(num_heads):
            q, k, v = np.split(fused[b, :, 3 * n * width : 3 * (n + 1) * width], 3, axis=-1)
            for t in range(x.shape[1]):
                scores = np.exp(k @ q[t] / np.sqrt(width)) * mask[b]
                y[b, t, n * width : (n + 1) * width] = scores @ v / scores.sum()
    return linear(y, weights, "attention/output")


def reference(x, weights, num_heads, norm_first=False, activation="relu", epsilon=1e-5, mask=None):
    """The docstring's equations in float64, with loops over samples, heads and steps."""
    mask = np.ones(x.shape[:2]) if mask is None else mask
    sigma = {"relu": lambda z: np.maximum(z, 0), "tanh": np.tanh}[activation]

    def feed(z):
        return linear(sigma(linear(z, weights, "expand")), weights, "contract")

    if norm_first:
        z = x + attended(
            normalised(x, weights, "attend/norm_in", epsilon), weights, num_heads, mask
        )
        return z + feed(normalised(z, weights, "feed/norm_in", epsilon))
    z = normalised(x + attended(x, weights, num_heads, mask), weights, "attend/norm_out", epsilon)
    return normalised(z + feed(z), weights, "feed/norm_out", epsilon)


def built(randomise, *args, width=6, seed=0, **config):
    layer = TransformerEncoderBlock(*args, **config)
    layer.build((None, None, width))
    return layer, randomise(layer, seed)


@settings(max_examples=20, deadline=None, derandomize=True, database=None)
@given(
    num_heads=st.sampled_from([1, 2, 3]),
    hidden_dim=st.sampled_from([1, 7]),
    norm_first=st.booleans(),
    activation=st.sampled_from(["relu", "tanh"]),
    epsilon=st.sampled_from([1e-5, 0.1]),
    use_bias=st.booleans(),
    seed=st.integers(0, 99),
)
def test_equals_the_reference(randomise, num_heads, hidden_dim, use_bias, seed, **config):
    layer, weights = built(randomise, num_heads, hidden_dim, use_bias=use_bias, seed=seed, **config)
    x, mask = random(2, 5, 6, seed=seed), np.array([LEFT, RIGHT], bool)
    close(layer(x), reference(x, weights, num_heads, **config))
    expected = reference(x, weights, num_heads, mask=mask, **config)
    close(ops.convert_to_numpy(layer(x, mask=mask))[mask], expected[mask])


def test_it_is_two_residuals_of_recipes():
    block = TransformerEncoderBlock(2, 12, norm_first=True)
    block.build((None, None, 6))
    assert [type(part) for part in (block.attend, block.feed)] == [Residual, Residual]
    assert isinstance(block.attend.layer[0], SelfAttention)
    branches = [Residual(part.layer, norm="pre") for part in (block.attend, block.feed)]
    by_hand = keras.Sequential([keras.Input((None, 6)), *branches])
    x = random(2, 5, 6)
    close(block(x), by_hand(x), relative=0)


def test_gelu_is_the_exact_one(randomise):
    block, weights = built(randomise, 2, 8, activation="gelu", norm_first=True)
    weights["attention/output/kernel"] *= 0
    block.attend.layer[0].project_out.kernel.assign(weights["attention/output/kernel"])
    x = random(2, 5, 6)
    z = x + weights["attention/output/bias"]
    hidden = linear(normalised(z, weights, "feed/norm_in", 1e-5), weights, "expand")
    erf = np.vectorize(math.erf)
    exact = hidden * (1 + erf(hidden / np.sqrt(2))) / 2
    tanh = hidden * (1 + np.tanh(np.sqrt(2 / np.pi) * (hidden + 0.044715 * hidden**3))) / 2
    exact, tanh = (z + linear(each, weights, "contract") for each in (exact, tanh))
    close(block(x), exact)
    assert abs(exact - tanh).max() > 1e-4 * abs(exact).max()  # so that it would be seen


def test_parts_that_are_handed_in_take_the_place_of_its_own(randomise):
    attention = SelfAttention(2, num_key_value_heads=1, position=RotaryEmbedding(), head_dim=4)
    block = TransformerEncoderBlock(attention=attention, mlp=GatedMLP(5), norm_first=True)
    x = random(2, 5, 6)
    block(x)
    randomise(block)
    norm_in, norm_out = block.attend.norm_in, block.feed.norm_in
    z = x + ops.convert_to_numpy(attention(norm_in(x)))
    close(block(x), z + ops.convert_to_numpy(block.mlp(norm_out(z))))
    names = [weight.path for weight in block.weights]
    assert len(names) == len(set(names)) == 4 + len(attention.weights) + len(block.mlp.weights)


HANDED = {
    "recipes": lambda: dict(attention=SelfAttention(2, causal=True), mlp=GatedMLP(5)),
    "a Sequential": lambda: dict(
        num_heads=2,
        mlp=keras.Sequential([layers.Dense(5, activation=layers.PReLU()), layers.Dense(6)]),
    ),
    "a wrapper": lambda: dict(attention=Residual(SelfAttention(2), norm="post"), hidden_dim=8),
    "an activation": lambda: dict(num_heads=2, hidden_dim=8, activation=layers.PReLU()),
}


@pytest.mark.parametrize("make", HANDED.values(), ids=HANDED)
def test_parts_are_saved_and_loaded(randomise, tmp_path, make):
    block = TransformerEncoderBlock(**make())
    model = keras.Sequential([keras.Input((5, 6)), block])
    randomise(block)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    x = random(2, 5, 6)
    close(loaded(x), model(x), relative=0)
    assert json.dumps(loaded.layers[0].get_config()) == json.dumps(block.get_config())


def test_a_part_handed_to_two_blocks_is_one_layer_in_a_file(tmp_path):
    mlp = GatedMLP(5)
    model = keras.Sequential(
        [keras.Input((5, 6)), *(TransformerEncoderBlock(2, mlp=mlp) for _ in range(2))]
    )
    model.save(tmp_path / "model.keras")
    first, second = keras.models.load_model(tmp_path / "model.keras").layers
    assert first.mlp is second.mlp


@pytest.mark.parametrize(
    ("config", "told"),
    [
        (
            dict(num_heads=4, attention=SelfAttention(2), hidden_dim=3),
            "`num_heads` must be None if",
        ),
        (dict(num_heads=4, hidden_dim=3, mlp=GatedMLP(3)), "`hidden_dim` must be None if `mlp`"),
        (dict(num_heads=4), "`hidden_dim` must be a positive integer. Received: hidden_dim=None"),
    ],
)
def test_sizes_and_parts_exclude_each_other(config, told):
    with pytest.raises(ValueError, match=told):
        TransformerEncoderBlock(**config)


@pytest.mark.parametrize(
    ("part", "told"),
    [
        (dict(attention=layers.Dense(4)), "`attention` must keep the shape.*output_shape=.*4"),
        (dict(attention=layers.MultiHeadAttention(2, 4)), "`attention` must take one input"),
        (dict(mlp=GatedMLP(4, units=3)), r"`mlp` must keep the shape.*input_shape=\(2, 5, 6\)"),
        (dict(mlp=layers.GlobalAveragePooling1D()), "`mlp` must keep the shape"),
    ],
)
def test_a_part_that_does_not_fit_is_refused(part, told):
    sizes = dict(num_heads=2) if "mlp" in part else dict(hidden_dim=8)
    block = TransformerEncoderBlock(**sizes, **part)
    with pytest.raises(ValueError, match=told):
        block(random(2, 5, 6))
    assert not block.built


def test_each_place_that_drops_has_draws_of_its_own():
    block = TransformerEncoderBlock(2, 8, dropout=0.4, drop_path=0.3, seed=7)
    block.build((None, None, 6))
    seeds = [
        tuple(ops.convert_to_numpy(variable).ravel())
        for variable in block.variables
        if "seed" in variable.path
    ]
    assert len(seeds) == len(set(seeds)) == 6  # scores, hidden features, two outputs, two branches


def test_in_training_it_drops_and_at_inference_not():
    x = random(8, 5, 6)
    block = TransformerEncoderBlock(2, 8, drop_path=1.0, norm_first=True)
    close(block(x, training=True), x, relative=0)
    block = TransformerEncoderBlock(2, 8, dropout=1.0, norm_first=True)
    close(block(x, training=True), x, relative=0)
    assert not np.allclose(ops.convert_to_numpy(block(x)), x)


def test_the_mask_of_an_embedding_goes_through_a_stack():
    stack = [TransformerEncoderBlock(2, 8, norm_first=first) for first in (False, True)]
    embedding = layers.Embedding(9, 6, mask_zero=True)
    model = keras.Sequential(
        [keras.Input((None,)), embedding, *stack, layers.GlobalAveragePooling1D()]
    )
    tokens = np.array([[3, 1, 4, 0, 0], [1, 5, 8, 2, 6]])
    close(model(tokens)[:1], model(tokens[:1, :3]))
