from math import erf

import keras
import numpy as np
import pytest
from arrays import close, random
from blocks.images import ACTIVATIONS, built, convolve_each, turned, turned_back
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

from layerzoo import ConvNeXtBlock

ACTIVATIONS = {**ACTIVATIONS, "gelu": lambda z: z * (1 + np.vectorize(erf)(z / 2**0.5)) / 2}


def reference(x, weights, activation="gelu", epsilon=1e-6):
    """Figure 4 of the first paper and algorithm 1 of the second, pixel by pixel in float64."""
    weights = {**dict.fromkeys(["depthwise/bias", "expand/bias", "project/bias"], 0.0), **weights}
    y = np.zeros(x.shape)
    mixed = convolve_each(x, weights["depthwise/kernel"]) + weights["depthwise/bias"]
    for b in range(len(x)):
        hidden = {}
        for place in np.ndindex(x.shape[1:3]):
            z = mixed[b][place]
            z = (z - z.mean()) / np.sqrt(z.var() + epsilon)
            z = weights["norm/gamma"] * z + weights["norm/beta"]
            z = z @ weights["expand/kernel"] + weights["expand/bias"]
            hidden[place] = ACTIVATIONS[activation](z)
        if "response_gamma" in weights:
            norms = np.sqrt(sum(z**2 for z in hidden.values()))
            share = norms / (norms.mean() + epsilon)
            for place, z in hidden.items():
                scaled = weights["response_gamma"] * (z * share) + weights["response_beta"]
                hidden[place] = z + scaled
        for place, z in hidden.items():
            branch = z @ weights["project/kernel"] + weights["project/bias"]
            y[b][place] = x[b][place] + weights.get("scale/gamma", 1.0) * branch
    return y


@settings(max_examples=20, deadline=None, derandomize=True, database=None)
@given(
    shape=st.sampled_from([(2, 5, 4, 4), (1, 3, 8, 3), (3, 1, 2, 4)]),
    kernel_size=st.sampled_from([1, 3, 7]),
    expansion=st.sampled_from([1, 2, 4]),
    global_response_norm=st.booleans(),
    layer_scale=st.sampled_from([None, 1e-6, 0.0]),
    use_bias=st.booleans(),
    data_format=st.sampled_from(["channels_last", "channels_first"]),
    activation=st.sampled_from(["gelu", "silu"]),
    epsilon=st.sampled_from([1e-6, 0.1]),
    seed=st.integers(0, 99),
)
def test_equals_the_reference(randomise, shape, activation, epsilon, data_format, seed, **config):
    layer = ConvNeXtBlock(activation=activation, epsilon=epsilon, data_format=data_format, **config)
    x = random(*shape, seed=seed)
    _, weights = built(randomise, layer, shape[-1], seed)
    parts = 2 * config["global_response_norm"] + (config["layer_scale"] is not None)
    assert len(weights) == 5 + 3 * config["use_bias"] + parts
    y = turned_back(layer(turned(x, data_format)), data_format)
    close(y, reference(x, weights, activation, epsilon))


@pytest.mark.parametrize("config", [dict(layer_scale=0), dict(drop_path=1.0)])
def test_without_its_branch_it_is_the_identity(gradients, config):
    layer = ConvNeXtBlock(**config)
    x = random(2, 5, 3, 4)
    layer.build(x.shape)
    np.testing.assert_array_equal(ops.convert_to_numpy(layer(x, training=True)), x)
    if "layer_scale" in config:  # which gradients move
        paths = [weight.path for weight in layer.trainable_weights]
        moved = gradients(layer, x)[1:][paths.index(layer.scale.gamma.path)]
        assert np.abs(moved).min() > 0


def test_the_start_value_of_the_factors():
    layer = ConvNeXtBlock(layer_scale=1e-6)
    layer.build((None, None, None, 4))
    np.testing.assert_array_equal(
        ops.convert_to_numpy(layer.scale.gamma), np.full(4, 1e-6, "float32")
    )


def test_the_global_response_norm_starts_as_the_identity_and_can_be_trained(gradients):
    first = ConvNeXtBlock(layer_scale=None)
    second = ConvNeXtBlock(global_response_norm=True, layer_scale=None)
    x = random(2, 5, 3, 4)
    for layer in (first, second):
        layer.build(x.shape)
    for name in ("depthwise", "norm", "expand", "project"):
        getattr(second, name).set_weights(getattr(first, name).get_weights())
    np.testing.assert_array_equal(*map(ops.convert_to_numpy, (second(x), first(x))))
    found = gradients(second, x)[1:]
    paths = [weight.path for weight in second.trainable_weights]
    for weight in (second.response_gamma, second.response_beta):
        assert np.abs(found[paths.index(weight.path)]).min() > 0


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_the_response_is_that_of_the_whole_image(randomise, data_format):
    layer, _ = built(
        randomise, ConvNeXtBlock(1, global_response_norm=True, data_format=data_format), 4
    )
    x = random(1, 4, 4, 4)
    changed = x.copy()
    changed[0, 0, 0] += 1
    y, z = (turned_back(layer(turned(each, data_format)), data_format) for each in (x, changed))
    assert np.abs(y - z)[0, 3, 3].min() > 0  # though the kernel sees one pixel


def test_gradients_are_finite_where_the_image_is_zero(gradients):
    layer = ConvNeXtBlock(global_response_norm=True, use_bias=False)
    x = np.zeros((2, 3, 4, 4), "float32")
    layer.build(x.shape)
    assert all(np.isfinite(gradient).all() for gradient in gradients(layer, x))


def test_height_and_width_may_be_unknown_and_the_format_may_be_either(randomise):
    layer, weights = built(randomise, ConvNeXtBlock(3, global_response_norm=True), 4)
    first = ConvNeXtBlock(3, global_response_norm=True, data_format="channels_first")
    sequential = keras.Sequential([keras.Input((4, None, None)), first])
    first.set_weights(layer.get_weights())
    inputs = keras.Input((None, None, 4))
    functional = keras.Model(inputs, layer(inputs))
    assert functional.output_shape == (None, None, None, 4)
    assert sequential.output_shape == (None, 4, None, None)
    x = random(2, 5, 4, 4)
    expected = reference(x, weights)
    close(functional.predict(x, verbose=0), expected)
    close(np.moveaxis(sequential.predict(np.moveaxis(x, -1, 1), verbose=0), 1, -1), expected)


@pytest.mark.parametrize(
    ("policy", "unit"), [("mixed_float16", 2.0**-11), ("mixed_bfloat16", 2.0**-8)]
)
def test_half_precision_stays_near_float32(randomise, policy, unit):
    config = dict(kernel_size=1, expansion=2, global_response_norm=True, layer_scale=None)
    precise, _ = built(randomise, ConvNeXtBlock(**config), 4)
    half, _ = built(randomise, ConvNeXtBlock(dtype=policy, **config), 4)
    x = 10 * random(1, 100, 100, 4)  # a sum of squares that float16 cannot hold
    y = half(x)
    assert keras.backend.standardize_dtype(y.dtype) == half.compute_dtype
    close(ops.cast(y, "float32"), precise(x), relative=8 * unit)
