import keras
import numpy as np
import pytest
from arrays import INSIDE, LEFT, RIGHT, close, random
from keras import layers, ops

from layerzoo import AttentionPooling


def reference(x, weights, mask, num_heads, num_queries=1, head_dim=None, use_bias=True):
    """The docstring's equation in float64: one head of one query at a time, padding left out."""
    h = head_dim or x.shape[-1] // num_heads

    def projected(name, vector):
        bias = weights[f"attention/{name}/bias"] if use_bias else 0
        return vector @ weights[f"attention/{name}/kernel"] + bias

    y = np.zeros((len(x), num_queries, x.shape[-1]))
    for b in range(len(x)):
        steps = [t for t in range(x.shape[1]) if mask[b, t]]
        keys_values = {t: projected("key_value", x[b, t]).reshape(num_heads, 2, h) for t in steps}
        for i in range(num_queries):
            query = projected("query", weights["queries"][i]).reshape(num_heads, h)
            together = np.zeros((num_heads, h))
            for n in range(num_heads if steps else 0):
                scores = np.exp([query[n] @ keys_values[t][n, 0] / np.sqrt(h) for t in steps])
                together[n] = scores @ [keys_values[t][n, 1] for t in steps] / scores.sum()
            y[b, i] = projected("output", together.reshape(num_heads * h))
    return y[:, 0] if num_queries == 1 else y


def built(randomise, **config):
    layer = AttentionPooling(**{"num_heads": 2, **config})
    layer.build((None, None, 8))
    return layer, randomise(layer)


X = random(2, 5, 8)
NOTHING = [0] * 5


@pytest.mark.parametrize("masks", [None, [LEFT, RIGHT], [INSIDE, NOTHING]])
@pytest.mark.parametrize(
    "config",
    [dict(num_heads=2), dict(num_heads=3, num_queries=2, head_dim=4, use_bias=False)],
    ids=["one query", "two queries"],
)
def test_equals_the_reference(randomise, config, masks):
    layer, weights = built(randomise, **config)
    mask = None if masks is None else np.array(masks, bool)
    valid = np.ones((2, 5)) if masks is None else mask
    close(layer(X, mask=mask), reference(X, weights, valid, **config))


@pytest.mark.parametrize("num_queries", [1, 2])
def test_equals_a_pool_with_latent_queries_in_torch(randomise, num_queries):
    torch = pytest.importorskip("torch", reason="the other side of the comparison is PyTorch")
    functional = torch.nn.functional
    layer, weights = built(randomise, num_queries=num_queries)
    weights = {path: torch.tensor(value, dtype=torch.float32) for path, value in weights.items()}

    def linear(name, x):
        kernel, bias = (weights[f"attention/{name}/{kind}"] for kind in ("kernel", "bias"))
        return functional.linear(x, kernel.T, bias)

    latent = weights["queries"].expand(2, -1, -1)
    query = linear("query", latent).unflatten(-1, (2, 4)).transpose(1, 2)
    both = linear("key_value", torch.from_numpy(X)).unflatten(-1, (2, 2, 4))
    key, value = both.permute(3, 0, 2, 1, 4)
    mask = np.array([INSIDE, RIGHT], bool)
    attended = functional.scaled_dot_product_attention(
        query, key, value, attn_mask=torch.from_numpy(mask)[:, None, None]
    )
    expected = linear("output", attended.transpose(1, 2).flatten(-2)).numpy()
    outputs = ops.convert_to_numpy(layer(X, mask=mask))
    close(outputs.reshape(2, num_queries, 8), expected)


def test_a_fully_padded_sample_gives_the_bias_and_finite_gradients(randomise, gradients):
    layer, weights = built(randomise)
    mask = np.array([NOTHING, RIGHT], bool)
    x = np.where(mask[..., None], X, np.float32(np.nan))
    outputs, scores = map(ops.convert_to_numpy, layer(x, mask=mask, return_attention_scores=True))
    close(outputs[0], weights["attention/output/bias"], relative=1e-6)
    np.testing.assert_array_equal(scores > 0, np.broadcast_to(mask[:, None, None], scores.shape))
    by_inputs, *by_weights = gradients(layer, x, mask=mask)
    assert all(np.isfinite(gradient).all() for gradient in (by_inputs, *by_weights))
    assert not by_inputs[~mask].any()
    assert by_inputs[mask].all()


def test_equal_steps_get_equal_scores(randomise):
    layer, weights = built(randomise, num_queries=2)
    x = np.repeat(X[:, :1], 5, axis=1)
    outputs, scores = layer(x, return_attention_scores=True)
    close(scores, np.full((2, 2, 2, 5), 0.2))
    value = X[:, 0] @ weights["attention/key_value/kernel"] + weights["attention/key_value/bias"]
    value = value.reshape(2, 2, 2, 4)[:, :, 1].reshape(2, 8)
    expected = value @ weights["attention/output/kernel"] + weights["attention/output/bias"]
    close(outputs, np.stack([expected, expected], axis=1))


def test_the_steps_and_their_mask_are_gone_in_every_kind_of_model(randomise):
    layer, weights = built(randomise)
    mask = np.array([RIGHT, INSIDE], bool)
    expected = reference(X, weights, mask, num_heads=2)
    inputs = keras.Input((None, 8))
    pooled, scores = layer(layers.Masking()(inputs), return_attention_scores=True)
    assert (pooled.shape, scores.shape) == ((None, 8), (None, 2, 1, None))
    functional = keras.Model(inputs, pooled)
    close(functional.predict(X * mask[..., None], verbose=0), expected)
    dense = layers.Dense(3)
    sequential = keras.Sequential([keras.Input((None, 8)), layers.Masking(), layer, dense])
    answer = sequential.predict(X * mask[..., None], verbose=0)
    close(answer, expected @ ops.convert_to_numpy(dense.kernel))
