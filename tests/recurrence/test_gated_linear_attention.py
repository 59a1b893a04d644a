import numpy as np
import pytest
from arrays import INSIDE, LEFT, RIGHT, close, random
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

from layerzoo import GatedLinearAttention


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def reference(x, weights, mask, num_heads, head_dim=None, key_dim=None, tau=16.0, epsilon=1e-5):
    """The docstring's equation in float64, step by step. Padding is left out."""
    batch, time, width = x.shape
    n, h = num_heads, head_dim or width // num_heads
    m = key_dim or -(-h // 2)
    y, memories = np.zeros((batch, time, width)), np.zeros((batch, n, m, h))
    bias_in = weights.get("query_key_value_gate/bias", 0)
    for b in range(batch):
        for t in np.flatnonzero(mask[b]):
            together = x[b, t] @ weights["query_key_value_gate/kernel"] + bias_in
            decay = x[b, t] @ weights["decay_down/kernel"] @ weights["decay_up/kernel"]
            decay = sigmoid(decay + weights["decay_up/bias"]).reshape(n, m) ** (1 / tau)
            heads = []
            for i, column in enumerate(together.reshape(n, -1)):
                query, key, value, z = np.split(column, [m, 2 * m, 2 * m + h])
                memories[b, i] = decay[i][:, None] * memories[b, i] + np.outer(key, value)
                read = memories[b, i].T @ query / np.sqrt(m)
                read = weights["scale"] * read / np.sqrt(np.mean(read**2) + epsilon)
                heads.append(read * z * sigmoid(z))
            y[b, t] = np.concatenate(heads) @ weights["output/kernel"]
            y[b, t] += weights.get("output/bias", 0)
    return y, memories


def built(randomise, *args, width=8, seed=0, **config):
    layer = GatedLinearAttention(*args, **config)
    layer.build((None, None, width))
    return layer, randomise(layer, seed)


@settings(max_examples=15, deadline=None, derandomize=True, database=None)
@given(
    num_heads=st.sampled_from([1, 2, 4]),
    head_dim=st.sampled_from([None, 3]),
    key_dim=st.sampled_from([None, 5]),
    tau=st.sampled_from([16.0, 0.5]),
    use_bias=st.booleans(),
    epsilon=st.sampled_from([1e-2, 1e-1]),
    mask=st.sampled_from([None, [LEFT, RIGHT], [INSIDE, [0] * 5]]),
    seed=st.integers(0, 99),
)
def test_equals_the_reference(randomise, num_heads, head_dim, key_dim, tau, use_bias, mask, **more):
    seed, epsilon = more["seed"], more["epsilon"]
    layer, weights = built(
        randomise,
        num_heads,
        head_dim,
        key_dim,
        gate_rank=3,
        gate_normalizer=tau,
        use_bias=use_bias,
        epsilon=epsilon,
        seed=seed,
    )
    x = random(2, 5, 8, seed=seed)
    mask = np.ones((2, 5), bool) if mask is None else np.array(mask, bool)
    y, state = layer(x, mask=mask, return_state=True)
    expected, memory = reference(x, weights, mask, num_heads, head_dim, key_dim, tau, epsilon)
    close(y, expected)
    close(state["memory"], memory)


def test_several_chunks_in_two_halves_equal_the_reference(randomise):
    layer, weights = built(randomise, 2)
    x, mask = random(2, 150, 8), np.random.default_rng(0).random((2, 150)) < [[0.8], [1]]
    expected, memory = reference(x, weights, mask, 2)
    close(layer(x, mask=mask), expected)
    first, state = layer(x[:, :70], mask=mask[:, :70], return_state=True)
    second, state = layer(x[:, 70:], mask=mask[:, 70:], initial_state=state, return_state=True)
    close(ops.concatenate([first, second], axis=1), expected)
    close(state["memory"], memory)


def test_a_decay_of_nearly_nothing_forgets_all_that_was(randomise):
    layer, _ = built(randomise, 2, gate_normalizer=0.1)
    layer.decay_up.bias.assign(np.full(4, -30.0))
    layer.decay_up.kernel.assign(np.zeros((16, 4)))
    x = random(1, 100, 8)
    close(layer(x)[:, -1], layer(x[:, -1:])[:, 0])


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (dict(num_heads=3), "`num_heads` must divide the width of the inputs unless `head_dim`"),
        (dict(num_heads=2, gate_normalizer=0), "`gate_normalizer` must be a positive number"),
        (dict(num_heads=2, key_dim=0), "`key_dim` must be a positive integer"),
    ],
)
def test_bad_arguments_are_named(config, message):
    with pytest.raises(ValueError, match=message):
        GatedLinearAttention(**config).build((None, None, 8))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (dict(mask=np.ones((2, 4), bool)), r"`mask` must be boolean.*Received: mask of shape"),
        (
            dict(initial_state=dict(memory=np.zeros((2, 2, 2, 3), "float32"))),
            r"`initial_state` must have a 'memory' of shape \(2, 2, 2, 4\) and dtype float32",
        ),
    ],
)
def test_a_bad_call_is_refused(randomise, call, message):
    layer, _ = built(randomise, 2)
    with pytest.raises(ValueError, match=message):
        layer(random(2, 5, 8), **call)
