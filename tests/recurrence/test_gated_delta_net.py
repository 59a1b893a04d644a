import numpy as np
import pytest
from arrays import INSIDE, LEFT, RIGHT, close, random
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

from layerzoo import GatedDeltaNet


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def unit(z):
    return z / np.sqrt(np.sum(z**2) + 1e-6)


def reference(x, weights, num_heads, head_dim=None, num_key_heads=None, gate="head", epsilon=1e-6):
    """The docstring's equations in float64, for one sample without padding, step by step."""
    time, width = x.shape
    n, h = num_heads, head_dim or width // num_heads
    g = num_key_heads or n
    r, taps = n // g, weights["taps"]

    def linear(x, name):
        return x @ weights[f"{name}/kernel"] + weights.get(f"{name}/bias", 0)

    projected = linear(x, "query_key_value_gate").reshape(time, g, -1)
    mixed, z = projected[..., : (2 + r) * h], projected[..., (2 + r) * h :].reshape(time, n, h)
    mixed = mixed.reshape(time, -1)
    convolved = np.zeros(mixed.shape)
    for t in range(time):
        for i in range(len(taps)):
            if t - i >= 0:
                convolved[t] += taps[len(taps) - 1 - i] * mixed[t - i]
    convolved = (convolved * sigmoid(convolved)).reshape(time, g, -1)
    a = linear(x, "decay") if gate == "head" else linear(linear(x, "decay_down"), "decay_up")
    sizes = np.log1p(np.exp(a + weights["step_bias"])).reshape(time, n, -1)
    beta = sigmoid(linear(x, "beta"))

    y, memory = np.zeros((time, width)), np.zeros((n, h, h))
    for t in range(time):
        heads = []
        for i in range(n):
            query, key, values = np.split(convolved[t, i // r], [h, 2 * h])
            query, key, value = unit(query), unit(key), values.reshape(r, h)[i % r]
            kept = np.exp(-np.exp(weights["log_rate"][i]) * sizes[t, i])[:, None] * memory[i]
            kept = (np.eye(h) - beta[t, i] * np.outer(key, key)) @ kept
            memory[i] = kept + beta[t, i] * np.outer(key, value)
            read = memory[i].T @ query / np.sqrt(h)
            read = weights["scale"] * read / np.sqrt(np.mean(read**2) + epsilon)
            heads.append(read * z[t, i] * sigmoid(z[t, i]))
        y[t] = linear(np.concatenate(heads), "output")
    return y, memory


def built(randomise, *args, width=8, seed=0, **config):
    layer = GatedDeltaNet(*args, **config)
    layer.build((None, None, width))
    return layer, randomise(layer, seed)


@settings(max_examples=15, deadline=None, derandomize=True, database=None)
@given(
    heads=st.sampled_from([(1, None), (2, None), (4, 2), (2, 1)]),
    head_dim=st.sampled_from([None, 3]),
    gate=st.sampled_from(["head", "feature"]),
    kernel_size=st.sampled_from([1, 2, 4]),
    use_bias=st.booleans(),
    epsilon=st.sampled_from([1e-2, 1e-1]),
    time=st.sampled_from([1, 5]),
    seed=st.integers(0, 99),
)
def test_equals_the_reference(randomise, heads, head_dim, gate, kernel_size, time, **more):
    n, g = heads
    seed, epsilon = more["seed"], more["epsilon"]
    layer, weights = built(
        randomise,
        n,
        head_dim,
        g,
        gate,
        kernel_size,
        use_bias=more["use_bias"],
        epsilon=epsilon,
        seed=seed,
    )
    x = random(2, time, 8, seed=seed)
    y, state = layer(x, return_state=True)
    expected = [reference(each, weights, n, head_dim, g, gate, epsilon) for each in x]
    close(y, np.stack([each for each, _ in expected]))
    close(state["memory"], np.stack([memory for _, memory in expected]))


@pytest.mark.parametrize("gate", ["head", "feature"])
def test_several_chunks_in_two_halves_equal_the_reference(randomise, gate):
    layer, weights = built(randomise, 2, gate=gate, epsilon=1e-2)
    x = random(1, 150, 8)
    expected, memory = reference(x[0], weights, 2, gate=gate, epsilon=1e-2)
    close(layer(x)[0], expected)
    first, state = layer(x[:, :70], return_state=True)
    second, state = layer(x[:, 70:], initial_state=state, return_state=True)
    close(ops.concatenate([first, second], axis=1)[0], expected)
    close(state["memory"][0], memory)


@pytest.mark.parametrize("mask", [[LEFT, RIGHT], [RIGHT, LEFT]])
@pytest.mark.parametrize("with_state", [False, True])
def test_padding_on_either_side_counts_for_nothing(randomise, mask, with_state):
    layer, weights = built(randomise, 2, epsilon=1e-2)
    x, mask = random(2, 5, 8), np.array(mask, bool)
    y = layer(np.where(mask[..., None], x, np.nan), mask=mask, return_state=with_state)
    if with_state:
        y, state = y
    for i, valid in enumerate(mask):
        expected, memory = reference(x[i, valid], weights, 2, epsilon=1e-2)
        close(y[i][valid], expected)
        if with_state:
            close(state["memory"][i], memory)
    assert not ops.convert_to_numpy(y)[~mask].any()


def test_from_a_state_padding_inside_counts_for_nothing(randomise):
    layer, weights = built(randomise, 2, epsilon=1e-2)
    x, mask = random(1, 5, 8), np.array([INSIDE], bool)
    y, state = layer(x, mask=mask, return_state=True)
    expected, memory = reference(x[mask], weights, 2, epsilon=1e-2)
    close(y[0][mask[0]], expected)
    close(state["memory"][0], memory)


def test_at_the_start_the_first_head_remembers_longest():
    layer = GatedDeltaNet(4)
    layer.build((None, None, 8))
    sizes = np.log1p(np.exp(ops.convert_to_numpy(layer.step_bias)))
    half_lives = np.log(2) / (sizes * np.exp(ops.convert_to_numpy(layer.log_rate)))
    assert (np.diff(half_lives) < 0).all()
    assert half_lives[0] > 300
    assert half_lives[-1] < 2


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="`num_heads` must divide the width of the inputs"):
        GatedDeltaNet(3).build((None, None, 8))
    with pytest.raises(
        ValueError, match=r"`num_key_heads` must divide `num_heads`\. Received: num"
    ):
        GatedDeltaNet(4, num_key_heads=3)
    with pytest.raises(ValueError, match=r"`gate` must be one of .* Received: gate='row'"):
        GatedDeltaNet(4, gate="row")


def test_a_state_of_another_shape_is_refused(randomise):
    layer, _ = built(randomise, 2)
    state = layer.get_initial_state(2) | dict(memory=np.zeros((2, 2, 4, 3), "float32"))
    with pytest.raises(ValueError, match=r"have a 'memory' of shape \(2, 2, 4, 4\) and dtype"):
        layer(random(2, 5, 8), initial_state=state)
