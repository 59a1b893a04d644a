import keras
import numpy as np
import pytest
from arrays import close, random
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers, ops

from layerzoo import LayerScale


def reference(x, gamma, data_format):
    """The docstring's equation in float64, channel by channel."""
    y = np.array(x, "float64")
    for c, factor in enumerate(gamma):
        where = (..., c) if data_format == "channels_last" else (slice(None), c)
        y[where] = factor * x[where]
    return y


@settings(max_examples=25, deadline=None, derandomize=True, database=None)
@given(
    shape=st.sampled_from([(3, 6), (2, 5, 6), (2, 4, 3, 6), (2, 3, 2, 4, 6)]),
    data_format=st.sampled_from(["channels_last", "channels_first"]),
    seed=st.integers(0, 99),
)
def test_equals_the_reference(randomise, shape, data_format, seed):
    layer = LayerScale(data_format=data_format)
    layer.build(shape)
    gamma = randomise(layer, seed)["gamma"]
    x = random(*shape, seed=seed)
    close(layer(x), reference(x, gamma, data_format))


@pytest.mark.parametrize("value", [0.0, 1e-6, 1.0])
def test_it_starts_at_init_value(value, gradients):
    x = random(3, 6)
    layer = LayerScale(value)
    np.testing.assert_array_equal(ops.convert_to_numpy(layer(x)), np.float32(value) * x)
    assert (gradients(layer, x)[0] != 0).all() == (value > 0)


def test_zero_gives_the_identity_and_a_gradient_that_moves_it_off():
    model = keras.Sequential([keras.Input((6,)), layers.Dense(6), LayerScale(0.0)])
    x, y = random(8, 6), random(8, 6, seed=1)
    inputs = keras.Input((6,))
    block = keras.Model(inputs, inputs + model(inputs))
    np.testing.assert_array_equal(ops.convert_to_numpy(block(x)), x)
    block.compile(keras.optimizers.SGD(0.1), "mse")
    block.fit(x, y, verbose=0)
    assert (ops.convert_to_numpy(model.layers[-1].gamma) != 0).all()


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
@pytest.mark.parametrize("value", [1e-6, 1e-8])
def test_a_tiny_factor_keeps_its_digits_under_half_precision(policy, value):
    layer = LayerScale(value, dtype=policy)
    x = 1000 * random(3, 6)
    y = ops.convert_to_numpy(ops.cast(layer(x), "float32"))
    half = ops.cast(ops.cast(x, layer.compute_dtype), "float32")
    due = np.float32(value) * ops.convert_to_numpy(half)
    subnormal = 2.0**-24 if policy == "mixed_float16" else 0
    np.testing.assert_allclose(y, due, rtol=2.0**-8, atol=subnormal)
    assert layer.gamma.dtype == "float32"
    # a factor that is rounded to float16 first is wrong by more than that
    rounded = np.float32(np.float16(value)) * due / np.float32(value)
    if policy == "mixed_float16" and value == 1e-8:
        assert not np.allclose(rounded, due, rtol=2.0**-8, atol=subnormal)


def test_the_mask_is_passed_on():
    model = keras.Sequential(
        [keras.Input((None,)), layers.Embedding(9, 6, mask_zero=True), LayerScale(0.5)]
    )
    tokens = np.array([[3, 1, 4, 0, 0]])
    outputs = layers.GlobalAveragePooling1D()(model(tokens))
    close(outputs, 0.5 * ops.convert_to_numpy(model.layers[0](tokens))[:, :3].mean(axis=1))
