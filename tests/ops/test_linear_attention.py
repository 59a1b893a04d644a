import keras
import numpy as np
import pytest
from arrays import close, random
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers, ops

from layerzoo.ops.linear_attention import elu_plus_one, linear_attention

EPSILON = 1e-6


def features(*shape, seed=0):
    return np.abs(random(*shape, seed=seed))


def quadratic(query, key, value, key_mask=None, causal=False, epsilon=EPSILON):
    """The left side of the equation in float64: every query beside every key."""
    query, key, value = (np.asarray(x, "float64") for x in (query, key, value))
    weights = np.einsum("btnm,bsnm->bnts", query, key)
    if key_mask is not None:
        weights = weights * key_mask[:, None, None, :]
    if causal:
        weights = np.tril(weights)
    weights = weights / (weights.sum(axis=-1, keepdims=True) + epsilon)
    return np.einsum("bnts,bsnh->btnh", weights, value)


class Attend(layers.Layer):
    """One tensor in, of queries, keys and values side by side."""

    def __init__(self, m, **settings):
        super().__init__()
        self.m, self.settings = m, settings
        self.supports_masking = True

    def call(self, inputs, mask=None):
        query, key, value = ops.split(inputs, [self.m, 2 * self.m], axis=-1)
        return linear_attention(ops.abs(query), ops.abs(key), value, mask, **self.settings)


@settings(max_examples=15, deadline=None, derandomize=True, database=None)
@given(
    time=st.sampled_from([1, 5, 12]),
    chunk_size=st.sampled_from([1, 3, 4, 128]),
    causal=st.booleans(),
    padded=st.booleans(),
    widths=st.sampled_from([(4, 4), (6, 3)]),
    epsilon=st.sampled_from([EPSILON, 0.1]),
    seed=st.integers(0, 99),
)
def test_equals_the_quadratic_form(time, chunk_size, causal, padded, widths, epsilon, seed):
    m, h = widths
    query, key = features(2, time, 3, m, seed=seed), features(2, time, 3, m, seed=seed + 1)
    value = random(2, time, 3, h, seed=seed + 2)
    mask = np.random.default_rng(seed).random((2, time)) < 0.6 if padded else None
    found = linear_attention(query, key, value, mask, causal, epsilon, chunk_size)
    assert tuple(found.shape) == (2, time, 3, h)
    close(found, quadratic(query, key, value, mask, causal, epsilon))


def test_keys_and_values_may_come_from_another_sequence():
    query, key, value = features(2, 3, 2, 4), features(2, 5, 2, 4, seed=1), random(2, 5, 2, 6)
    close(linear_attention(query, key, value), quadratic(query, key, value))


@pytest.mark.parametrize("time", [256, 300], ids=["whole chunks", "part of one"])
def test_equals_the_quadratic_form_in_chunks_of_the_usual_size(time):
    query, key, value = (
        features(1, time, 2, 8),
        features(1, time, 2, 8, seed=1),
        random(1, time, 2, 8),
    )
    close(
        linear_attention(query, key, value, causal=True), quadratic(query, key, value, causal=True)
    )


@pytest.mark.parametrize("time", [7, 8])
def test_gradients_do_not_depend_on_the_chunks(gradients, time):
    x, mask = random(2, time, 2, 10), np.random.default_rng(0).random((2, time)) < 0.7
    whole, parts = Attend(4, causal=True), Attend(4, causal=True, chunk_size=2)
    close(parts(x, mask=mask), whole(x, mask=mask))
    (expected,), (found,) = (gradients(layer, x, mask=mask) for layer in (whole, parts))
    assert expected.any()
    close(found, expected)


@pytest.mark.parametrize("step", range(7))
def test_nothing_later_is_felt_not_even_by_rounding(step):
    key, value = features(1, 7, 1, 4), random(1, 7, 1, 4)
    later = np.arange(7)[:, None, None] > step
    found = [
        linear_attention(
            features(1, 7, 1, 4, seed=1),
            np.where(later, key * np.float32(size), key),
            np.where(later, value * np.float32(size), value),
            causal=True,
            chunk_size=3,
        )
        for size in (1, 1e12)
    ]
    before, after = (ops.convert_to_numpy(y)[:, : step + 1] for y in found)
    np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize("chunk_size", [2, 128])
@pytest.mark.parametrize("causal", [False, True])
def test_a_query_that_may_see_nothing_gets_zeros_and_zero_gradients(gradients, causal, chunk_size):
    mask = np.array([[0, 0, 0, 1, 1], [0] * 5], bool)
    seen = np.array([[not causal or t > 2 for t in range(5)], [False] * 5])
    layer, x = Attend(4, causal=causal, chunk_size=chunk_size), random(2, 5, 2, 12)
    y = ops.convert_to_numpy(layer(x, mask=mask))
    np.testing.assert_array_equal(y.any(axis=(2, 3)), seen)
    (by_inputs,) = gradients(layer, x, mask=mask)
    assert np.isfinite(by_inputs).all()
    by_query, by_key = by_inputs[..., :4], by_inputs[..., 4:]
    np.testing.assert_array_equal(by_query.any(axis=(2, 3)), seen)
    np.testing.assert_array_equal(by_key.any(axis=(2, 3)), mask)


@pytest.mark.parametrize(("dtype", "unit"), [("float16", 2.0**-11), ("bfloat16", 2.0**-8)])
@pytest.mark.parametrize("causal", [False, True])
def test_half_precision_is_summed_in_float32(dtype, unit, causal):
    rng = np.random.default_rng(0)
    exact = [rng.random((1, 400, 1, 4)) for _ in range(3)]
    query, key, value = (ops.cast(x.astype("float32"), dtype) for x in exact)
    rounded = [ops.convert_to_numpy(ops.cast(x, "float32")) for x in (query, key, value)]
    y = linear_attention(query, key, value, causal=causal, chunk_size=2)
    assert keras.backend.standardize_dtype(y.dtype) == dtype
    close(ops.cast(y, "float32"), quadratic(*rounded, causal=causal), relative=1.1 * unit)


def test_elu_plus_one_keeps_small_features_exact():
    x = np.array([-80, -12.5, -1, 0, 0.5, 90], "float32")
    expected = np.where(x > 0, x.astype("float64") + 1, np.exp(np.minimum(x, 0).astype("float64")))
    y = ops.convert_to_numpy(elu_plus_one(ops.convert_to_tensor(x)))
    np.testing.assert_allclose(y, expected, rtol=1e-6)


def test_the_slope_of_elu_plus_one_is_one_at_zero_and_finite_far_away(gradients):
    class Map(layers.Layer):
        def call(self, inputs):
            return elu_plus_one(inputs)

    x = np.array([[-1e4, -1, 0, 2, 1e4]], "float32")  # of the sum of squares: 2 y y'
    layer = Map()
    layer(x)
    (found,) = gradients(layer, x)
    np.testing.assert_allclose(found, [[0, 2 * np.exp(-2), 2, 6, 2 * 10_001]], rtol=1e-6)
