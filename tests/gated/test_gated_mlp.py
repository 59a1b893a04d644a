import json
import math

import keras
import numpy as np
import pytest
from arrays import close, random
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers, ops

from layerzoo import GatedMLP

ACTIVATIONS = {
    "silu": lambda z: z / (1 + np.exp(-z)),
    "gelu": np.vectorize(lambda z: z / 2 * (1 + math.erf(z / math.sqrt(2)))),
    "relu": lambda z: np.maximum(z, 0),
    "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
    None: lambda z: z,
}


def reference(x, weights, activation="silu", use_bias=True):
    """Equation 6 of the paper, with the biases that Keras has by default, in float64."""

    def linear(name, z):
        return z @ weights[f"{name}/kernel"] + (weights[f"{name}/bias"] if use_bias else 0)

    return linear("down", ACTIVATIONS[activation](linear("gate", x)) * linear("up", x))


def built(randomise, width=6, **config):
    layer = GatedMLP(**config)
    layer.build((None, width))
    return layer, randomise(layer)


@settings(max_examples=25, deadline=None, derandomize=True, database=None)
@given(
    shape=st.sampled_from([(3, 6), (2, 5, 6), (2, 3, 2, 4)]),
    hidden_dim=st.sampled_from([1, 7]),
    units=st.sampled_from([None, 3]),
    activation=st.sampled_from(list(ACTIVATIONS)),
    use_bias=st.booleans(),
    seed=st.integers(0, 99),
)
def test_equals_the_reference(randomise, shape, hidden_dim, units, activation, use_bias, seed):
    layer = GatedMLP(hidden_dim, units, activation, use_bias=use_bias)
    layer.build((None, *shape[1:]))
    weights = randomise(layer, seed)
    x = random(*shape, seed=seed)
    close(layer(x), reference(x, weights, activation, use_bias))


@pytest.mark.parametrize("bias", [True, False])
def test_equals_swiglu_in_torch(randomise, bias):
    torch = pytest.importorskip("torch", reason="the other side of the comparison is PyTorch")
    layer, weights = built(randomise, hidden_dim=10, units=4, use_bias=bias)

    def linear(name):
        kernel = torch.tensor(weights[f"{name}/kernel"], dtype=torch.float32)
        module = torch.nn.Linear(*kernel.shape, bias=bias)
        module.weight.data = kernel.T
        if bias:
            module.bias.data = torch.tensor(weights[f"{name}/bias"], dtype=torch.float32)
        return module

    gate, up, down = linear("gate"), linear("up"), linear("down")
    x = random(2, 5, 6)
    z = torch.from_numpy(x)
    close(layer(x), down(torch.nn.functional.silu(gate(z)) * up(z)).detach().numpy())


def test_without_activation_it_is_bilinear(randomise):
    layer, _ = built(randomise, hidden_dim=4, activation=None, use_bias=False)
    x = random(3, 6)
    close(layer(3 * x), 9 * ops.convert_to_numpy(layer(x)))


@pytest.mark.parametrize(
    "activation",
    [None, "gelu", keras.activations.relu, layers.LeakyReLU(0.3), layers.PReLU()],
    ids=["None", "name", "function", "layer", "layer with weights"],
)
def test_any_kind_of_activation_survives_its_config(randomise, activation):
    layer, weights = built(randomise, hidden_dim=4, activation=activation)
    revived = GatedMLP.from_config(json.loads(json.dumps(layer.get_config())))
    revived.build((None, 6))
    assert list(randomise(revived)) == list(weights)
    assert revived.get_config() == layer.get_config()
    close(revived(random(3, 6)), ops.convert_to_numpy(layer(random(3, 6))), relative=0)


def test_an_activation_with_weights_is_saved(randomise, tmp_path):
    layer = GatedMLP(4, activation=layers.PReLU(shared_axes=[1]))
    model = keras.Sequential([keras.Input((None, 6)), layer])
    assert len(randomise(layer)) == 7
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    x = random(2, 5, 6)
    close(loaded(x), ops.convert_to_numpy(model(x)), relative=0)


def test_dropout_drops_hidden_features_in_training_alone(randomise):
    layer, weights = built(randomise, hidden_dim=4, dropout=1.0)
    x = random(3, 6)
    close(layer(x, training=True), np.broadcast_to(weights["down/bias"], (3, 6)))
    close(layer(x), reference(x, weights))


def test_axes_but_the_last_may_be_unknown_and_the_mask_passes(randomise):
    layer, weights = built(randomise, hidden_dim=4)
    model = keras.Sequential(
        [keras.Input((None, 6)), layers.Masking(), layer, layers.GlobalAveragePooling1D()]
    )
    x = random(2, 5, 6)
    x[:, 3:] = 0
    close(model.predict(x, verbose=0), reference(x, weights)[:, :3].mean(axis=1))
