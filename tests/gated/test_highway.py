import json
import math

import keras
import numpy as np
import pytest
from arrays import close, random
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers, ops

from layerzoo import Highway

ACTIVATIONS = {"relu": lambda z: max(z, 0.0), "tanh": math.tanh, None: lambda z: z}


def reference(x, weights, activation="relu"):
    """Equation 3 of the paper, feature by feature, in float64."""
    kernel, bias = weights["transform_gate/kernel"], weights["transform_gate/bias"]
    y = np.zeros(x.shape)
    width = x.shape[-1]
    for *place, i in np.ndindex(*x.shape):
        features = x[tuple(place)].astype("float64")
        transform = ACTIVATIONS[activation](features @ kernel[:, i] + bias[i])
        gate = 1 / (1 + math.exp(-(features @ kernel[:, width + i] + bias[width + i])))
        y[(*place, i)] = transform * gate + features[i] * (1 - gate)
    return y


def built(randomise, width=6, **config):
    layer = Highway(**config)
    layer.build((None, width))
    return layer, randomise(layer)


@settings(max_examples=25, deadline=None, derandomize=True, database=None)
@given(
    shape=st.sampled_from([(3, 6), (2, 5, 6), (2, 3, 2, 1)]),
    activation=st.sampled_from(list(ACTIVATIONS)),
    seed=st.integers(0, 99),
)
def test_equals_the_reference(randomise, shape, activation, seed):
    layer, weights = built(randomise, shape[-1], activation=activation)
    weights = randomise(layer, seed)
    x = random(*shape, seed=seed)
    close(layer(x), reference(x, weights, activation))


@pytest.mark.parametrize("bias", [-2, -1.5, np.float32(0.5)])
def test_only_the_bias_of_the_gate_starts_off_zero(bias):
    layer = Highway(gate_bias=bias)
    layer.build((None, 6))
    np.testing.assert_array_equal(
        ops.convert_to_numpy(layer.project.bias), [0.0] * 6 + [float(bias)] * 6
    )
    y = ops.convert_to_numpy(layer(np.zeros((1, 6), "float32")))
    np.testing.assert_array_equal(y, np.zeros((1, 6)))


def test_a_closed_gate_carries_the_inputs_exactly_and_an_open_one_none_of_them(randomise):
    layer, weights = built(randomise, activation=None)
    x, kernel, bias = (
        random(3, 6),
        weights["transform_gate/kernel"],
        weights["transform_gate/bias"],
    )
    layer.project.bias.assign(np.concatenate([bias[:6], [-1e4] * 6]))
    np.testing.assert_array_equal(ops.convert_to_numpy(layer(x)), x)
    layer.project.bias.assign(np.concatenate([bias[:6], [1e4] * 6]))
    close(layer(x), x @ kernel[:, :6] + bias[:6])


def test_a_deep_stack_starts_nearer_to_the_identity_the_lower_the_bias():
    x = random(4, 6)

    def moved(gate_bias):
        keras.utils.set_random_seed(0)
        blocks = [Highway(gate_bias=gate_bias) for _ in range(20)]
        model = keras.Sequential([keras.Input((6,)), *blocks])
        return np.abs(ops.convert_to_numpy(model(x)) - x).max()

    assert moved(-30) < 1e-5 < moved(-6) < moved(-2)


@pytest.mark.parametrize("activation", ["tanh", layers.PReLU()], ids=["name", "layer"])
def test_any_kind_of_activation_survives_its_config(randomise, activation):
    layer, weights = built(randomise, activation=activation, gate_bias=-1)
    revived = Highway.from_config(json.loads(json.dumps(layer.get_config())))
    revived.build((None, 6))
    assert list(randomise(revived)) == list(weights)
    close(revived(random(3, 6)), layer(random(3, 6)), relative=0)


def test_axes_but_the_last_may_be_unknown_and_the_mask_passes(randomise):
    layer, weights = built(randomise)
    model = keras.Sequential(
        [keras.Input((None, 6)), layers.Masking(), layer, layers.GlobalAveragePooling1D()]
    )
    x = random(2, 5, 6)
    x[:, 3:] = 0
    close(model.predict(x, verbose=0), reference(x, weights)[:, :3].mean(axis=1))
