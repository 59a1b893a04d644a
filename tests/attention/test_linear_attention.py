import json

import keras
import numpy as np
import pytest
from arrays import INSIDE, LEFT, RIGHT, close, random
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers

from layerzoo import LinearAttention

FEATURE_MAPS = {
    "elu": lambda z: np.where(z > 0, z + 1, np.exp(np.minimum(z, 0))),
    "softplus": lambda z: np.log1p(np.exp(z)),
    "relu": lambda z: np.maximum(z, 0),
}


def reference(
    x,
    weights,
    mask,
    num_heads,
    head_dim=None,
    causal=False,
    feature_map="elu",
    use_bias=True,
    epsilon=1e-6,
):
    """The paper's equations 16 to 20 in float64, step by step: a state and a normaliser for each head."""
    batch, time, width = x.shape
    n, h = num_heads, head_dim or width // num_heads
    phi = FEATURE_MAPS[feature_map]
    bias_in = weights["query_key_value/bias"] if use_bias else 0
    bias_out = weights["output/bias"] if use_bias else 0

    y = np.zeros((batch, time, width))
    for b in range(batch):
        steps = [t for t in range(time) if mask[b, t]]
        together = {t: x[b, t] @ weights["query_key_value/kernel"] + bias_in for t in steps}
        heads = {t: together[t].reshape(n, 3, h) for t in steps}
        attended = {t: [] for t in steps}
        for i in range(n):
            state, normaliser = np.zeros((h, h)), np.zeros(h)
            passes = [[t] for t in steps] if causal else [steps]
            for seen in passes:
                for s in seen:
                    key = phi(heads[s][i, 1])
                    state += np.outer(key, heads[s][i, 2])
                    normaliser += key
                for t in seen:
                    query = phi(heads[t][i, 0])
                    attended[t].append(query @ state / (query @ normaliser + epsilon))
        for t in steps:
            y[b, t] = np.concatenate(attended[t]) @ weights["output/kernel"] + bias_out
    return y


def built(randomise, width=8, **config):
    layer = LinearAttention(**config)
    layer.build((None, None, width))
    return layer, randomise(layer)


@settings(max_examples=20, deadline=None, derandomize=True, database=None)
@given(
    num_heads=st.sampled_from([1, 2, 4]),
    head_dim=st.sampled_from([None, 6]),
    causal=st.booleans(),
    feature_map=st.sampled_from(list(FEATURE_MAPS)),
    use_bias=st.booleans(),
    epsilon=st.sampled_from([1e-6, 1e-2]),
    mask=st.sampled_from([None, [LEFT, RIGHT], [INSIDE, [0] * 5]]),
    seed=st.integers(0, 99),
)
def test_equals_the_reference(randomise, mask, seed, **config):
    layer = LinearAttention(**config)
    layer.build((None, None, 8))
    weights = randomise(layer, seed)
    x = random(2, 5, 8, seed=seed)
    mask = np.ones((2, 5), bool) if mask is None else np.array(mask, bool)
    close(layer(x, mask=mask), reference(x, weights, mask, **config))


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("time", [128, 290], ids=["one chunk", "several and a part"])
def test_equals_the_reference_beyond_one_chunk(randomise, causal, time):
    layer, weights = built(randomise, num_heads=2, causal=causal)
    x, mask = random(2, time, 8), np.random.default_rng(1).random((2, time)) < [[0.8], [1]]
    close(layer(x, mask=mask), reference(x, weights, mask, num_heads=2, causal=causal))


@pytest.mark.parametrize("causal", [False, True])
def test_equals_cumulative_sums_in_torch(randomise, causal):
    torch = pytest.importorskip("torch", reason="the other side of the comparison is PyTorch")
    functional = torch.nn.functional
    layer, weights = built(randomise, num_heads=2, head_dim=6, causal=causal)
    weights = {path: torch.tensor(value, dtype=torch.float32) for path, value in weights.items()}
    x = random(2, 150, 8)

    kernel, bias = weights["query_key_value/kernel"], weights["query_key_value/bias"]
    projected = functional.linear(torch.from_numpy(x), kernel.T, bias)
    query, key, value = projected.unflatten(-1, (2, 3, 6)).unbind(-2)
    query, key = functional.elu(query) + 1, functional.elu(key) + 1
    states, normalisers = torch.einsum("btni,btnj->btnij", key, value), key
    if causal:
        states, normalisers = states.cumsum(1), normalisers.cumsum(1)
    else:
        states, normalisers = states.sum(1, keepdim=True), normalisers.sum(1, keepdim=True)
    attended = torch.einsum("btni,btnij->btnj", query, states.expand(2, 150, 2, 6, 6))
    attended = attended / ((query * normalisers).sum(-1, keepdim=True) + 1e-6)
    expected = functional.linear(
        attended.flatten(-2), weights["output/kernel"].T, weights["output/bias"]
    )
    close(layer(x), expected.numpy())


def test_queries_without_features_give_the_bias(randomise):
    layer, weights = built(randomise, num_heads=2, feature_map="relu")
    layer.weights[0].assign(np.zeros((8, 24)))
    layer.weights[1].assign(np.tile(np.repeat([-1.0, 1.0, 1.0], 4), 2))
    close(layer(random(2, 5, 8)), np.broadcast_to(weights["output/bias"], (2, 5, 8)))


def test_batch_and_time_may_be_unknown_in_every_kind_of_model(randomise):
    layer, weights = built(randomise, num_heads=2, causal=True)
    inputs = keras.Input((None, 8))
    functional = keras.Model(inputs, layer(inputs))
    sequential = keras.Sequential([keras.Input((None, 8)), layers.Masking(), layer])
    for batch, time in [(2, 5), (1, 140), (3, 1)]:
        x = random(batch, time, 8)
        everywhere = np.ones((batch, time), bool)
        expected = reference(x, weights, everywhere, num_heads=2, causal=True)
        close(functional.predict(x, verbose=0), expected)
        mask = np.arange(time) < time - 1
        expected = reference(x, weights, everywhere & mask, num_heads=2, causal=True)
        close(sequential.predict(x * mask[:, None], verbose=0), expected)


@pytest.mark.parametrize(
    "feature_map",
    ["elu", "softplus", keras.activations.elu, layers.ReLU(), layers.Dense(5, "softplus")],
    ids=["elu", "name", "function", "layer", "layer with weights"],
)
def test_any_kind_of_feature_map_survives_its_config(randomise, feature_map):
    layer, weights = built(randomise, num_heads=2, causal=True, feature_map=feature_map)
    revived = LinearAttention.from_config(json.loads(json.dumps(layer.get_config())))
    revived.build((None, None, 8))
    assert list(randomise(revived)) == list(weights)
    assert revived.get_config() == layer.get_config()
    x = random(2, 5, 8)
    close(revived(x), layer(x), relative=0)


def test_a_feature_map_with_weights_is_shared_by_queries_and_keys_and_saved(randomise, tmp_path):
    layer = LinearAttention(2, feature_map=layers.Dense(5, "softplus"))
    model = keras.Sequential([keras.Input((None, 8)), layer])
    assert len(randomise(layer)) == 6
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    x = random(2, 5, 8)
    close(loaded(x), model(x), relative=0)
