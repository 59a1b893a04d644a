import keras
import numpy as np
import pytest
from arrays import INSIDE, LEFT, RIGHT, close, random
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers, ops

from layerzoo import DifferentialAttention


def softmax(scores):
    weights = np.exp(scores - np.max(scores))
    return weights / weights.sum()


def lambdas(weights, depth):
    """The paper's equation 2: the whole lambda, and the one that the depth gives."""
    query_1, key_1, query_2, key_2 = weights["lambdas"]
    start = 0.8 - 0.6 * np.exp(-0.3 * (depth - 1))
    return np.exp(query_1 @ key_1) - np.exp(query_2 @ key_2) + start, start


def reference(
    x, weights, mask, num_heads, depth=1, head_dim=None, causal=False, use_bias=True, scores=None
):
    """The paper's equations 1 to 3 in float64, one query of one head at a time, padding left out."""
    batch, time, width = x.shape
    n, h = num_heads, head_dim or width // (2 * num_heads)
    bias_in = weights["query_key_value/bias"] if use_bias else 0
    bias_out = weights["output/bias"] if use_bias else 0
    factor, start = lambdas(weights, depth)

    y = np.zeros((batch, time, width))
    for b in range(batch):
        steps = [t for t in range(time) if mask[b, t]]
        projected = {t: x[b, t] @ weights["query_key_value/kernel"] + bias_in for t in steps}
        heads = {t: projected[t].reshape(n, 6, h) for t in steps}
        query = {t: heads[t][:, :2] for t in steps}
        key = {t: heads[t][:, 2:4] for t in steps}
        value = {t: heads[t][:, 4:].reshape(n, 2 * h) for t in steps}
        for t in steps:
            seen = [s for s in steps if not (causal and s > t)]
            together = []
            for i in range(n):
                first, second = (
                    softmax([query[t][i, j] @ key[s][i, j] / np.sqrt(h) for s in seen])
                    for j in range(2)
                )
                weighed = first - factor * second
                head = sum(w * value[s][i] for w, s in zip(weighed, seen, strict=True))
                normed = head / np.sqrt(np.mean(head**2) + 1e-5) * weights["head_norm/scale"]
                together.append((1 - start) * normed)
                if scores is not None:
                    scores[b, i, t, seen] = weighed
            y[b, t] = np.concatenate(together) @ weights["output/kernel"] + bias_out
    return y


def built(randomise, width=8, **config):
    layer = DifferentialAttention(**config)
    layer.build((None, None, width))
    return layer, randomise(layer)


@settings(max_examples=10, deadline=None, derandomize=True, database=None)
@given(
    heads=st.sampled_from([(2, None), (4, None), (1, 3)]),
    depth=st.sampled_from([1, 2, 30]),
    causal=st.booleans(),
    use_bias=st.booleans(),
    mask=st.sampled_from([None, [LEFT, RIGHT], [INSIDE, [0] * 5]]),
    seed=st.integers(0, 99),
)
def test_equals_the_reference(randomise, heads, mask, seed, **config):
    config.update(num_heads=heads[0], head_dim=heads[1])
    layer = DifferentialAttention(**config)
    layer.build((None, None, 8))
    weights = randomise(layer, seed)
    x = random(2, 5, 8, seed=seed)
    mask = np.ones((2, 5), bool) if mask is None else np.array(mask, bool)
    close(layer(x, mask=mask), reference(x, weights, mask, **config))


@pytest.mark.parametrize("causal", [False, True])
def test_equals_the_difference_of_two_attentions_in_torch(randomise, causal):
    torch = pytest.importorskip("torch", reason="the other side of the comparison is PyTorch")
    functional = torch.nn.functional
    layer, weights = built(randomise, num_heads=2, depth=4, causal=causal)
    weights = {path: torch.tensor(value, dtype=torch.float32) for path, value in weights.items()}
    x = random(2, 5, 8)

    kernel, bias = weights["query_key_value/kernel"], weights["query_key_value/bias"]
    projected = functional.linear(torch.from_numpy(x), kernel.T, bias)
    query, key, value = projected.unflatten(-1, (2, 3, 2, 2)).transpose(1, 2).unbind(3)
    query, key, value = query.transpose(2, 3), key.transpose(2, 3), value.flatten(-2)
    first, second = (
        functional.scaled_dot_product_attention(
            query[:, :, i], key[:, :, i], value, is_causal=causal
        )
        for i in range(2)
    )
    by_head = weights["lambdas"].unflatten(0, (2, 2)).prod(1).sum(-1).exp()
    start = 0.8 - 0.6 * np.exp(-0.9)
    attended = first - (by_head[0] - by_head[1] + start) * second
    attended = functional.rms_norm(attended, (4,), weights["head_norm/scale"], 1e-5) * (1 - start)
    expected = functional.linear(
        attended.transpose(1, 2).flatten(-2), weights["output/kernel"].T, weights["output/bias"]
    )
    close(layer(x), expected.numpy())


@pytest.mark.parametrize(("depth", "start"), [(1, 0.2), (2, 0.3555090676), (100, 0.8)])
def test_a_new_layer_of_each_depth_has_the_lambda_of_the_paper(depth, start):
    layer = DifferentialAttention(1, depth=depth)
    _, scores = layer(np.zeros((1, 4, 8), "float32"), return_attention_scores=True)
    vectors = ops.convert_to_numpy(layer.lambdas)
    moved = np.exp(vectors[0] @ vectors[1]) - np.exp(vectors[2] @ vectors[3])
    assert 0 < abs(moved) < 0.3
    expected = np.full((1, 1, 4, 4), (1 - moved - start) / 4)
    np.testing.assert_allclose(ops.convert_to_numpy(scores), expected, atol=1e-6)


@pytest.mark.parametrize("causal", [False, True])
def test_scores_are_the_differences_of_the_softmaxes(randomise, causal):
    layer, weights = built(randomise, num_heads=2, depth=2, causal=causal)
    x, mask = random(2, 5, 8), np.array([RIGHT, [1] * 5], bool)
    expected = np.zeros((2, 2, 5, 5))
    y = reference(x, weights, mask, 2, depth=2, causal=causal, scores=expected)
    outputs, scores = layer(x, mask=mask, return_attention_scores=True)
    scores = np.where(mask[:, None, :, None], ops.convert_to_numpy(scores), 0)
    close(outputs, y)
    close(scores, expected)
    factor, _ = lambdas(weights, 2)
    valid = np.broadcast_to(mask[:, None], (2, 2, 5))
    np.testing.assert_allclose(scores.sum(axis=-1), np.where(valid, 1 - factor, 0), atol=1e-5)


@pytest.mark.parametrize("dropout", [0.5, 1.0])
def test_either_softmax_is_dropped_by_itself_and_what_is_left_gives_the_outputs(randomise, dropout):
    layer, weights = built(randomise, num_heads=2, dropout=dropout, seed=1)
    value_kernel = weights["query_key_value/kernel"] * (np.arange(24) % 12 >= 8)
    layer.project_in.set_weights([value_kernel, np.zeros(24)])  # every softmax is even
    x = random(4, 5, 8)
    outputs, scores = layer(x, return_attention_scores=True, training=True)
    scores = ops.convert_to_numpy(scores)

    factor, start = lambdas(weights, 1)
    kept = 0.2 / (1 - dropout) if dropout < 1 else 0.0
    found, counts = np.unique(np.round(scores, 5), return_counts=True)
    expected = {0.0, kept, -factor * kept, (1 - factor) * kept}
    np.testing.assert_allclose(found, sorted(expected), atol=1e-5)
    assert (counts > scores.size / 8).all()

    value = (x @ value_kernel).reshape(4, 5, 2, 12)[..., 8:]
    heads = np.einsum("bnts,bsnh->btnh", scores, value)
    heads = heads / np.sqrt(np.mean(heads**2, axis=-1, keepdims=True) + 1e-5)
    heads = heads * weights["head_norm/scale"] * (1 - start)
    close(outputs, heads.reshape(4, 5, 8) @ weights["output/kernel"] + weights["output/bias"], 1e-4)


def test_batch_and_time_may_be_unknown_in_every_kind_of_model(randomise):
    layer, weights = built(randomise, num_heads=2, causal=True)

    class Subclassed(keras.Model):
        def __init__(self):
            super().__init__()
            self.attention = layer

        def call(self, inputs):
            return self.attention(inputs)

    inputs = keras.Input((None, 8))
    functional = keras.Model(inputs, layer(inputs))
    sequential = keras.Sequential([keras.Input((None, 8)), layers.Masking(), layer])
    for batch, time in [(2, 5), (3, 1)]:
        x = random(batch, time, 8)
        everywhere = np.ones((batch, time), bool)
        expected = reference(x, weights, everywhere, num_heads=2, causal=True)
        close(functional.predict(x, verbose=0), expected)
        close(Subclassed()(x), expected)
        mask = np.arange(time) < time - 1
        expected = reference(x, weights, everywhere & mask, num_heads=2, causal=True)
        close(sequential(x * mask[:, None]), expected)
