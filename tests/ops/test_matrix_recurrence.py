"""Decayed sums and the gated delta rule: the parallel form, the step form and a plain loop in float64."""

import itertools

import keras
import numpy as np
import pytest
from arrays import close, random
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers, ops

from layerzoo.ops.matrix_recurrence import (
    decayed_linear_attention,
    gated_delta_rule,
    units,
)

M, H = 4, 3
STRONGEST, WEAKEST = np.log(1e-6), np.log1p(-1e-6)


def plain(query, key, value, log_decay, beta=None, state=None):
    """The equations in float64, step by step."""
    query, key, value, log_decay = (
        np.asarray(x, "float64") for x in (query, key, value, log_decay)
    )
    b, t, n, m = query.shape
    log_decay = log_decay.reshape(b, t, n, -1)
    state = np.zeros((b, n, m, value.shape[-1])) if state is None else np.array(state, "float64")
    y = np.zeros(value.shape)
    for i in range(t):
        state = np.exp(log_decay[:, i])[..., None] * state
        new = value[:, i]
        if beta is not None:
            new = beta[:, i, :, None] * (new - np.einsum("bnm,bnmh->bnh", key[:, i], state))
        state = state + key[:, i][..., None] * new[..., None, :]
        y[:, i] = np.einsum("bnm,bnmh->bnh", query[:, i], state)
    return y, state


def drawn(b, t, n, features, seed=0, state=False):
    """Inputs with decays of all kinds: 1e-6, 1 - 1e-6, and between, evenly in their logarithms' logarithm."""
    rng = np.random.default_rng(seed)
    query, key = random(b, t, n, M, seed=seed), random(b, t, n, M, seed=seed + 1)
    key = key / np.linalg.norm(key, axis=-1, keepdims=True)
    value = random(b, t, n, H, seed=seed + 2)
    span = np.log(-WEAKEST), np.log(-STRONGEST)
    log_decay = -np.exp(rng.uniform(*span, (b, t, n, features)))
    log_decay = np.where(rng.random(log_decay.shape) < 0.5, WEAKEST, log_decay).astype("float32")
    log_decay = log_decay if features > 1 else log_decay[..., 0]
    beta = rng.random((b, t, n)).astype("float32")
    before = random(b, n, M, H, seed=seed + 3) if state else None
    return (query, key, value, log_decay), beta, before


def of(rule, given, beta, *more):
    """A recurrence by name, with `beta` if it takes one."""
    if rule == "delta":
        return gated_delta_rule(*given, beta, *more)
    return decayed_linear_attention(*given, *more)


def due(rule, given, beta, state=None):
    return plain(*given, beta=beta if rule == "delta" else None, state=state)


RULES = pytest.mark.parametrize("rule", ["sum", "delta"])
DECAYS = pytest.mark.parametrize("features", [1, M], ids=["one per head", "one per feature"])


@settings(max_examples=12, deadline=None, derandomize=True, database=None)
@given(
    rule=st.sampled_from(["sum", "delta"]),
    time=st.sampled_from([1, 2, 3, 5, 64, 65, 300]),
    features=st.sampled_from([1, M]),
    state=st.booleans(),
    seed=st.integers(0, 99),
)
def test_equals_a_plain_loop(rule, time, features, state, seed):
    given, beta, before = drawn(2, time, 2, features, seed, state)
    found, after = of(rule, given, beta, before)
    expected, expected_after = due(rule, given, beta, before)
    close(found, expected)
    close(after, expected_after)


@RULES
def test_equals_a_plain_loop_at_4096_steps(rule):
    given, beta, before = drawn(1, 4096, 1, M, state=True)
    found, after = of(rule, given, beta, before)
    expected, expected_after = due(rule, given, beta, before)
    close(found, expected)
    close(after, expected_after)


@RULES
@DECAYS
def test_65536_steps_with_extreme_decays_are_finite_and_accurate(rule, features):
    given, beta, _ = drawn(1, 65536, 1, features)
    found, after = of(rule, given, beta)
    expected, expected_after = due(rule, given, beta)
    close(found, expected, relative=1e-4)
    close(after, expected_after, relative=1e-4)


@pytest.mark.parametrize("log_decay", [WEAKEST, STRONGEST, -np.inf, 0.0])
def test_65536_steps_of_one_decay(log_decay):
    (query, key, value, _), _, _ = drawn(1, 65536, 1, 1)
    decays = np.full((1, 65536, 1), log_decay, "float32")
    given = query, key, value, decays
    found, after = of("sum", given, None)
    expected, expected_after = due("sum", given, None)
    close(found, expected, relative=1e-4)
    close(after, expected_after, relative=1e-4)


@RULES
@DECAYS
def test_step_by_step_and_in_halves_it_gives_what_the_whole_gives(rule, features):
    given, beta, _ = drawn(2, 70, 2, features)
    expected, expected_after = due(rule, given, beta)
    for parts in ([*range(70)], [0, 33]):
        state, found = None, []
        for start, end in itertools.pairwise([*parts, 70]):
            piece = [x[:, start:end] for x in given]
            y, state = of(rule, piece, beta[:, start:end], state)
            found.append(y)
        close(ops.concatenate(found, axis=1), expected)
        close(state, expected_after)


def test_steps_of_a_decay_near_one_do_not_add_up_its_rounding():
    """A decay of `1 - 1e-6` is rounded in float32 by 1.3e-8, which 1024 steps would make 7e-6."""
    x, nothing = np.abs(random(1024, 1, 1, 1, 50)), np.zeros((1, 1, 1, 1), "float32")
    state = ops.zeros((1, 1, 1, 50))
    expected = np.zeros((1, 1, 1, 50))
    for each in x:
        one = nothing + 1
        _, state = decayed_linear_attention(one, one, each, nothing[0] + np.float32(WEAKEST), state)
        expected = np.exp(np.float64(np.float32(WEAKEST))) * expected + each
    close(state, expected, relative=3e-6)


@RULES
@DECAYS
@pytest.mark.parametrize("side", ["left", "right", "inside"])
def test_padding_leaves_the_state_as_it_is(rule, features, side):
    given, beta, before = drawn(2, 9, 2, features, state=True)
    place = dict(left=range(4), right=range(9, 13), inside=[2, 5, 6, 11])[side]
    mask = np.ones((2, 13), bool)
    mask[:, list(place)] = False
    padded = []
    for x in (*given, beta):
        longer = np.full((2, 13, *x.shape[2:]), 3, "float32")
        longer[mask] = x.reshape(-1, *x.shape[2:])
        padded.append(longer)
    found, after = of(rule, padded[:4], padded[4], before, mask)
    expected, expected_after = of(rule, given, beta, before)
    close(ops.convert_to_numpy(found)[mask].reshape(2, 9, 2, H), expected)
    close(after, expected_after)


def together(given, beta):
    """All inputs of a recurrence side by side."""
    return np.concatenate([x if x.ndim == 4 else x[..., None] for x in (*given, beta)], axis=-1)


class Recur(layers.Layer):
    """One tensor in, of queries, keys, values, decays and betas side by side; time and batch unknown."""

    def __init__(self, rule, features):
        super().__init__()
        self.rule, self.features = rule, features

    def call(self, inputs):
        f = self.features
        parts = [M, 2 * M, 2 * M + H, 2 * M + H + f]
        query, key, value, log_decay, beta = ops.split(inputs, parts, axis=-1)
        log_decay = log_decay if f > 1 else log_decay[..., 0]
        return of(self.rule, (query, key, value, log_decay), beta[..., 0])[0]

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], H)


@RULES
@DECAYS
def test_batch_and_time_may_be_unknown(rule, features):
    inputs = keras.Input((None, 2, 2 * M + H + features + 1))
    model = keras.Model(inputs, Recur(rule, features)(inputs))
    for batch, time in [(2, 5), (1, 140)]:
        given, beta, _ = drawn(batch, time, 2, features)
        x = together(given, beta)
        close(model.predict(x, verbose=0), due(rule, given, beta)[0])


def test_the_delta_rule_replaces_what_a_key_held():
    key = np.eye(M, dtype="float32")[[0, 1, 0, 0]][None, :, None]
    value = random(1, 4, 1, H)
    keep, fully = np.zeros((1, 4, 1), "float32"), np.ones((1, 4, 1), "float32")
    found, after = gated_delta_rule(key, key, value, keep, fully)
    close(found, value)
    close(after[0, 0, :2], value[0, [3, 1], 0])


@DECAYS
def test_the_same_key_in_every_step_is_no_problem(features):
    """The powers of the matrix that is inverted are then as large as `2 ** 64`."""
    (query, _, value, log_decay), beta, _ = drawn(1, 200, 1, features)
    key = np.broadcast_to(units(np.ones((1, 1, 1, M), "float32"))[0], query.shape)
    given = query, key, value, 0 * log_decay
    close(gated_delta_rule(*given, 0 * beta + 1)[0], plain(*given, beta=0 * beta + 1)[0])


@RULES
@DECAYS
def test_gradients_by_the_inputs_are_those_of_central_differences(gradients, rule, features):
    given, beta, _ = drawn(1, 5, 1, features)
    x = together((*given[:3], 0.1 * given[3]), beta)
    layer = Recur(rule, features)
    layer(x)
    (found,) = gradients(layer, x)[:1]

    def loss(x):
        query, key, value, log_decay, beta = np.split(
            x, [M, 2 * M, 2 * M + H, 2 * M + H + features], axis=-1
        )
        return np.sum(due(rule, (query, key, value, log_decay), beta[..., 0])[0] ** 2)

    expected, step = np.zeros(x.shape), 1e-5
    for place in np.ndindex(x.shape):
        change = np.zeros(x.shape)
        change[place] = step
        expected[place] = (loss(x + change) - loss(x - change)) / (2 * step)
    close(found, expected, relative=1e-4)


def test_half_precision_is_computed_in_float32():
    given, beta, _ = drawn(1, 100, 1, M)
    half = [ops.cast(x, "bfloat16") for x in given]
    found, _ = gated_delta_rule(*half, ops.cast(beta, "bfloat16"))
    assert keras.backend.standardize_dtype(found.dtype) == "float32"
    rounded = [ops.convert_to_numpy(ops.cast(x, "float32")) for x in half]
    beta = ops.convert_to_numpy(ops.cast(ops.cast(beta, "bfloat16"), "float32"))
    close(found, due("delta", rounded, beta)[0])
