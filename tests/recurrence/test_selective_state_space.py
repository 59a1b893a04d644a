import numpy as np
import pytest
from arrays import INSIDE, LEFT, RIGHT, close, random
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

from layerzoo import SelectiveStateSpace


def silu(z):
    return z / (1 + np.exp(-z))


def reference(x, weights, state_dim, num_heads, expansion=2, num_groups=1, epsilon=1e-5):
    """The docstring's equations in float64, for one sample without padding, step by step."""
    time, width = x.shape
    n, g, m, taps = num_heads, num_groups, state_dim, weights["taps"]
    inner = expansion * width
    h, p = inner // n, inner // g
    projected = x @ weights["inner/kernel"] + weights.get("inner/bias", 0)
    z, mixed, sizes = np.split(projected.reshape(time, g, -1), [p, 2 * (p + m)], axis=-1)
    mixed = mixed.reshape(time, -1)
    convolved = np.tile(weights["taps_bias"], (time, 1))
    for t in range(time):
        for i in range(len(taps)):
            if t - i >= 0:
                convolved[t] += taps[len(taps) - 1 - i] * mixed[t - i]
    u, b, c = np.split(silu(convolved).reshape(time, g, -1), [p, p + m], axis=-1)
    sizes = np.log1p(np.exp(sizes.reshape(time, n) + weights["step_bias"]))
    u = u.reshape(time, n, h)

    y, memory = np.zeros((time, width)), np.zeros((n, m, h))
    for t in range(time):
        read = np.zeros((n, h))
        for i in range(n):
            group, delta = i * g // n, sizes[t, i]
            decay = np.exp(-np.exp(weights["log_rate"][i]) * delta)
            memory[i] = decay * memory[i] + delta * np.outer(b[t, group], u[t, i])
            read[i] = memory[i].T @ c[t, group] + weights["skip"][i] * u[t, i]
        read = read.reshape(g, p) * silu(z[t])
        read = read / np.sqrt(np.mean(read**2, axis=-1, keepdims=True) + epsilon)
        out = weights["scale"] * read.reshape(-1)
        y[t] = out @ weights["output/kernel"] + weights.get("output/bias", 0)
    return y, memory


def built(randomise, *args, width=4, seed=0, **config):
    layer = SelectiveStateSpace(*args, **config)
    layer.build((None, None, width))
    return layer, randomise(layer, seed)


@settings(max_examples=15, deadline=None, derandomize=True, database=None)
@given(
    state_dim=st.sampled_from([1, 3]),
    heads=st.sampled_from([(1, 1), (2, 1), (4, 2), (2, 2)]),
    expansion=st.sampled_from([1, 2]),
    kernel_size=st.sampled_from([1, 2, 4]),
    use_bias=st.booleans(),
    epsilon=st.sampled_from([1e-2, 1e-1]),
    time=st.sampled_from([1, 5]),
    seed=st.integers(0, 99),
)
def test_equals_the_reference(randomise, state_dim, heads, expansion, time, seed, **more):
    n, g = heads
    layer, weights = built(randomise, state_dim, n, expansion, g, seed=seed, **more)
    x = random(2, time, 4, seed=seed)
    y, state = layer(x, return_state=True)
    epsilon = more["epsilon"]
    expected = [reference(each, weights, state_dim, n, expansion, g, epsilon) for each in x]
    close(y, np.stack([each for each, _ in expected]))
    close(state["memory"], np.stack([memory for _, memory in expected]))


def test_several_chunks_in_two_halves_equal_the_reference(randomise):
    layer, weights = built(randomise, 3, 2, epsilon=1e-2)
    x = random(1, 150, 4)
    expected, memory = reference(x[0], weights, 3, 2, epsilon=1e-2)
    close(layer(x)[0], expected)
    first, state = layer(x[:, :70], return_state=True)
    second, state = layer(x[:, 70:], initial_state=state, return_state=True)
    close(ops.concatenate([first, second], axis=1)[0], expected)
    close(state["memory"][0], memory)


@pytest.mark.parametrize("with_state", [False, True])
def test_padding_on_either_side_counts_for_nothing(randomise, with_state):
    layer, weights = built(randomise, 3, 2, epsilon=1e-2)
    x, mask = random(2, 5, 4), np.array([LEFT, RIGHT], bool)
    y = layer(np.where(mask[..., None], x, np.nan), mask=mask, return_state=with_state)
    if with_state:
        y, state = y
    for i, valid in enumerate(mask):
        expected, memory = reference(x[i, valid], weights, 3, 2, epsilon=1e-2)
        close(y[i][valid], expected)
        if with_state:
            close(state["memory"][i], memory)
    assert not ops.convert_to_numpy(y)[~mask].any()


def test_from_a_state_padding_inside_counts_for_nothing(randomise):
    layer, weights = built(randomise, 3, 2, epsilon=1e-2)
    x, mask = random(1, 5, 4), np.array([INSIDE], bool)
    y, state = layer(x, mask=mask, return_state=True)
    expected, memory = reference(x[mask], weights, 3, 2, epsilon=1e-2)
    close(y[0][mask[0]], expected)
    close(state["memory"][0], memory)


def test_a_step_size_of_nearly_nothing_passes_a_step_by(randomise):
    layer, _ = built(randomise, 3, 2, kernel_size=1)
    kernel, bias = layer.project_in.get_weights()
    kernel[:, -2:], bias[-2:] = np.outer([-50, 0, 0, 0], [1, 1]), 0
    layer.project_in.set_weights([kernel, bias])
    layer.step_bias.assign(np.zeros(2))
    x = random(1, 5, 4)
    x[:, :, 0] = -1
    x[:, 1:4, 0] = 1
    _, passed = layer(x, return_state=True)
    _, state = layer(x[:, [0, 4]], return_state=True)
    close(passed["memory"], state["memory"])


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match=r"`num_heads` must divide `expansion` times the width"):
        SelectiveStateSpace(4, 3).build((None, None, 4))
    with pytest.raises(ValueError, match=r"`num_groups` must divide `num_heads`\. Received: num"):
        SelectiveStateSpace(4, num_groups=3)


def test_a_state_of_another_shape_is_refused(randomise):
    layer, _ = built(randomise, 3, 2)
    state = layer.get_initial_state(2) | dict(past=np.zeros((2, 2, 14), "float32"))
    with pytest.raises(ValueError, match=r"have a 'past' of shape \(2, 3, 14\) and dtype"):
        layer(random(2, 5, 4), initial_state=state)
