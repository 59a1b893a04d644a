import json
import math

import keras
import numpy as np
import pytest
from arrays import close, random
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers, ops

from layerzoo import GLU

ACTIVATIONS = {
    "sigmoid": lambda z: 1 / (1 + math.exp(-z)),
    "gelu": lambda z: z / 2 * (1 + math.erf(z / math.sqrt(2))),
    "relu": lambda z: max(z, 0.0),
    "tanh": math.tanh,
    None: lambda z: z,
}


def reference(x, weights, units, activation="sigmoid", use_bias=True):
    """Equation 1 of the paper, feature by feature: the value by W and b, the gate by V and c."""
    kernel = weights["value_gate/kernel"]
    bias = weights["value_gate/bias"] if use_bias else np.zeros(2 * units)
    y = np.zeros((*x.shape[:-1], units))
    for *place, i in np.ndindex(*y.shape):
        features = x[tuple(place)].astype("float64")
        value = features @ kernel[:, i] + bias[i]
        gate = features @ kernel[:, units + i] + bias[units + i]
        y[(*place, i)] = value * ACTIVATIONS[activation](gate)
    return y


def built(randomise, width=6, **config):
    layer = GLU(**{"units": 4, **config})
    layer.build((None, width))
    return layer, randomise(layer)


@settings(max_examples=25, deadline=None, derandomize=True, database=None)
@given(
    shape=st.sampled_from([(3, 6), (2, 5, 6), (2, 3, 2, 4)]),
    units=st.sampled_from([1, 7]),
    activation=st.sampled_from(list(ACTIVATIONS)),
    use_bias=st.booleans(),
    seed=st.integers(0, 99),
)
def test_equals_the_reference(randomise, shape, units, activation, use_bias, seed):
    layer = GLU(units, activation, use_bias)
    layer.build((None, *shape[1:]))
    weights = randomise(layer, seed)
    x = random(*shape, seed=seed)
    close(layer(x), reference(x, weights, units, activation, use_bias))


def test_it_is_a_dense_layer_and_glu_of_keras(randomise):
    layer, weights = built(randomise)
    x = random(2, 5, 6)
    y = x @ weights["value_gate/kernel"].astype("float32") + weights["value_gate/bias"]
    close(layer(x), ops.glu(ops.convert_to_tensor(y.astype("float32")), axis=-1))


def test_an_open_gate_is_a_linear_layer_and_a_closed_one_gives_zero(randomise):
    layer, weights = built(randomise)
    x = random(3, 6)
    for bias, share in ((1e4, 1.0), (-1e4, 0.0)):
        layer.project.bias.assign(np.concatenate([weights["value_gate/bias"][:4], [bias] * 4]))
        value = x @ weights["value_gate/kernel"][:, :4] + weights["value_gate/bias"][:4]
        np.testing.assert_allclose(ops.convert_to_numpy(layer(x)), share * value, atol=1e-5)


def test_without_activation_it_is_bilinear(randomise):
    layer, _ = built(randomise, activation=None, use_bias=False)
    x = random(3, 6)
    close(layer(3 * x), 9 * ops.convert_to_numpy(layer(x)))


@pytest.mark.parametrize(
    "activation",
    [None, "gelu", keras.activations.relu, layers.LeakyReLU(0.3), layers.PReLU()],
    ids=["None", "name", "function", "layer", "layer with weights"],
)
def test_any_kind_of_activation_survives_its_config(randomise, activation):
    layer, weights = built(randomise, activation=activation)
    revived = GLU.from_config(json.loads(json.dumps(layer.get_config())))
    revived.build((None, 6))
    assert list(randomise(revived)) == list(weights)
    assert revived.get_config() == layer.get_config()
    close(revived(random(3, 6)), ops.convert_to_numpy(layer(random(3, 6))), relative=0)


def test_axes_but_the_last_may_be_unknown_and_the_mask_passes(randomise):
    layer, weights = built(randomise)
    model = keras.Sequential(
        [keras.Input((None, 6)), layers.Masking(), layer, layers.GlobalAveragePooling1D()]
    )
    x = random(2, 5, 6)
    x[:, 3:] = 0
    close(model.predict(x, verbose=0), reference(x, weights, 4)[:, :3].mean(axis=1))
