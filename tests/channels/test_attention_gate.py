import json

import keras
import numpy as np
import pytest
from arrays import close, random
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers, ops

from layerzoo import AttentionGate

ACTIVATIONS = {"relu": lambda z: np.maximum(z, 0), "silu": lambda z: z / (1 + np.exp(-z))}


def at(image, place):
    """The image at a place between its pixels, by linear interpolation along one axis after the other."""
    if not place:
        return image
    first, *others = place
    first = min(max(first, 0), len(image) - 1)
    low = int(first)
    high = min(low + 1, len(image) - 1)
    start, end = at(image[low], others), at(image[high], others)
    return start + (first - low) * (end - start)


def reference(x, g, weights, activation="relu"):
    """Equations 1 and 2 of the paper, pixel by pixel, where the gate is read between its pixels."""
    weights = {**dict.fromkeys(["gate/bias", "weight/bias"], 0.0), **weights}
    sizes, coarse = x.shape[1:-1], g.shape[1:-1]
    y = np.zeros(x.shape)
    for b, *pixel in np.ndindex(*x.shape[:-1]):
        place = [(i + 0.5) * m / n - 0.5 for i, m, n in zip(pixel, coarse, sizes, strict=True)]
        signal = at(g[b].astype("float64"), place) @ weights["gate/kernel"] + weights["gate/bias"]
        features = x[b][tuple(pixel)].astype("float64") @ weights["inputs/kernel"] + signal
        score = ACTIVATIONS[activation](features) @ weights["weight/kernel"]
        y[(b, *pixel)] = x[(b, *pixel)] / (1 + np.exp(-score - weights["weight/bias"]))
    return y


def first(x):
    """Channels first."""
    return np.moveaxis(ops.convert_to_numpy(x), -1, 1).copy()


def built(randomise, inputs=(None, None, None, 6), gate=(None, None, None, 4), **config):
    layer = AttentionGate(**{"units": 5, **config})
    layer.build(inputs, gate)
    return layer, randomise(layer)


@settings(max_examples=25, deadline=None, derandomize=True, database=None)
@given(
    sizes=st.sampled_from(
        [
            ((4, 6), (2, 3)),
            ((5, 3), (2, 2)),
            ((3, 4), (3, 4)),
            ((3, 2), (7, 5)),
            ((1, 4), (3, 1)),
            ((4, 3, 2), (2, 2, 1)),
        ]
    ),
    units=st.sampled_from([1, 5]),
    activation=st.sampled_from(["relu", "silu"]),
    use_bias=st.booleans(),
    data_format=st.sampled_from(["channels_last", "channels_first"]),
    seed=st.integers(0, 99),
)
def test_equals_the_reference(randomise, sizes, units, activation, use_bias, data_format, seed):
    x, g = random(2, *sizes[0], 6, seed=seed), random(2, *sizes[1], 4, seed=[seed, 1])
    layer = AttentionGate(units, activation, use_bias, data_format=data_format)
    given = [x, g] if data_format == "channels_last" else [first(x), first(g)]
    layer.build(*(each.shape for each in given))
    weights = randomise(layer, seed)
    assert len(weights) == (5 if use_bias else 3)
    expected = reference(x, g, weights, activation)
    y = layer(given[0], gate=given[1])
    close(y, expected if data_format == "channels_last" else first(expected))


def test_without_a_gate_the_inputs_are_their_own(randomise):
    layer, _ = built(randomise, gate=None)
    x = random(2, 3, 4, 6)
    close(layer(x), layer(x, gate=x), relative=0)
    model = keras.Sequential([keras.Input((None, None, 6)), AttentionGate(5)])
    assert model.output_shape == (None, None, None, 6)


@pytest.mark.parametrize("volumes", [False, True])
def test_equals_the_authors_modules_in_torch(randomise, volumes):
    torch = pytest.importorskip("torch", reason="the other side of the comparison is PyTorch")
    convolution = torch.nn.Conv3d if volumes else torch.nn.Conv2d
    sizes, coarse = ((5, 7, 4), (3, 2, 2)) if volumes else ((7, 9), (3, 4))
    layer, weights = built(randomise, (None, *sizes, 6), (None, *coarse, 4))
    theta, phi, psi = convolution(6, 5, 1, bias=False), convolution(4, 5, 1), convolution(5, 1, 1)
    for module, name in ((theta, "inputs"), (phi, "gate"), (psi, "weight")):
        kernel = torch.tensor(weights[f"{name}/kernel"].T, dtype=torch.float32)
        module.weight.data = kernel.reshape(module.weight.shape)
        if module.bias is not None:
            module.bias.data = torch.tensor(weights[f"{name}/bias"], dtype=torch.float32)
    x, g = random(2, *sizes, 6), random(2, *coarse, 4, seed=1)
    with torch.no_grad():
        z = theta(torch.tensor(first(x)))
        mode = "trilinear" if volumes else "bilinear"
        signal = torch.nn.functional.interpolate(phi(torch.tensor(first(g))), sizes, mode=mode)
        expected = torch.tensor(first(x)) * torch.sigmoid(psi(torch.relu(z + signal)))
    close(first(layer(x, gate=g)), expected.numpy())


def test_a_gate_that_is_closed_lets_nothing_pass(randomise):
    layer, _ = built(randomise)
    layer.project_weight.bias.assign([-1e4])
    y = ops.convert_to_numpy(layer(random(2, 3, 4, 6), gate=random(2, 2, 2, 4)))
    np.testing.assert_array_equal(y, np.zeros(y.shape))


def test_sizes_may_be_unknown_in_every_kind_of_model(randomise):
    layer, weights = built(randomise)
    inputs, gate = keras.Input((None, None, 6)), keras.Input((None, None, 4))
    model = keras.Model([inputs, gate], layer(inputs, gate=gate))
    assert model.output_shape == (None, None, None, 6)
    for sizes, coarse in [((3, 4), (2, 3)), ((1, 5), (1, 1)), ((2, 2), (5, 4))]:
        x, g = random(2, *sizes, 6), random(2, *coarse, 4, seed=1)
        close(model.predict([x, g], verbose=0), reference(x, g, weights))


def test_an_activation_with_weights_is_trained_and_saved(randomise, tmp_path):
    layer = AttentionGate(5, activation=layers.PReLU(shared_axes=[1, 2]))
    config = json.dumps(layer.get_config())
    model = keras.Sequential([keras.Input((None, None, 6)), layer])
    assert len(randomise(layer)) == 6
    assert json.dumps(layer.get_config()) == config
    model.save(tmp_path / "model.keras")
    x = random(2, 5, 4, 6)
    close(keras.models.load_model(tmp_path / "model.keras")(x), model(x), relative=0)


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_gate_of_another_rank_is_refused(randomise, when):
    layer = built(randomise)[0] if when == "after" else AttentionGate(5)
    with pytest.raises(ValueError, match=r"as many axes .*Received: gate of shape \(2, 2, 4\)"):
        layer(random(2, 3, 4, 6), gate=random(2, 2, 4))
    assert layer.built == (when == "after")


@pytest.mark.parametrize("name", ["inputs", "gate"])
def test_an_unknown_number_of_channels_is_refused(name):
    shapes = {"inputs": (3, 4, 6), "gate": (2, 2, 4)}
    symbols = {each: keras.Input(shape) for each, shape in shapes.items()}
    symbols[name] = keras.Input((*shapes[name][:-1], None))
    layer = AttentionGate(5)
    with pytest.raises(ValueError, match=r"channel axis .* must have a known size\. Received: "):
        layer(**symbols)
    assert not layer.built
