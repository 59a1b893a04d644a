import json

import keras
import numpy as np
import pytest
from arrays import INSIDE, LEFT, RIGHT, close, random
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers, ops

from layerzoo import SqueezeExcite

ACTIVATIONS = {
    "relu": lambda z: np.maximum(z, 0),
    "silu": lambda z: z / (1 + np.exp(-z)),
    "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
    "hard_sigmoid": lambda z: np.clip(z / 6 + 0.5, 0, 1),
}


def reference(x, weights, mask, activation="relu", gate_activation="sigmoid", use_bias=True):
    """Equations 2 to 4 of the paper for channels last, one sample at a time, padding left out."""

    def linear(name, z):
        return z @ weights[f"{name}/kernel"] + (weights[f"{name}/bias"] if use_bias else 0)

    y = np.zeros(x.shape)
    for b in range(len(x)):
        positions = [p for p in np.ndindex(x.shape[1:-1]) if mask[b][p[0]]]
        if positions:
            squeezed = sum(x[b][p].astype("float64") for p in positions) / len(positions)
            hidden = ACTIVATIONS[activation](linear("reduce", squeezed))
            gate = ACTIVATIONS[gate_activation](linear("expand", hidden))
            for p in positions:
                y[b][p] = gate * x[b][p]
    return y


def built(randomise, channels=6, **config):
    layer = SqueezeExcite(**{"ratio": 2, **config})
    layer.build((None, channels, channels))
    return layer, randomise(layer)


def everywhere(x):
    return np.ones(x.shape[:2], bool)


@settings(max_examples=25, deadline=None, derandomize=True, database=None)
@given(
    shape=st.sampled_from([(2, 5, 6), (2, 5, 3, 8), (2, 5, 2, 3, 4)]),
    ratio=st.sampled_from([2, 3, 16]),
    activation=st.sampled_from(["relu", "silu"]),
    gate_activation=st.sampled_from(["sigmoid", "hard_sigmoid"]),
    use_bias=st.booleans(),
    data_format=st.sampled_from(["channels_last", "channels_first"]),
    mask=st.sampled_from([None, [LEFT, RIGHT], [INSIDE, [0] * 5]]),
    seed=st.integers(0, 99),
)
def test_equals_the_reference(randomise, shape, ratio, data_format, mask, seed, **config):
    layer = SqueezeExcite(ratio, data_format=data_format, **config)
    x = random(*shape, seed=seed)
    given = x if data_format == "channels_last" else np.moveaxis(x, -1, 1).copy()
    layer.build(given.shape)
    weights = randomise(layer, seed)
    assert weights["reduce/kernel"].shape == (shape[-1], max(1, shape[-1] // ratio))
    mask = None if mask is None else np.array(mask, bool)
    expected = reference(x, weights, everywhere(x) if mask is None else mask, **config)
    y = ops.convert_to_numpy(layer(given, mask=mask))
    close(y if data_format == "channels_last" else np.moveaxis(y, 1, -1), expected)


def test_equals_pointwise_convolutions_in_torch(randomise):
    torch = pytest.importorskip("torch", reason="the other side of the comparison is PyTorch")
    layer, weights = built(randomise, channels=32, ratio=4)
    reduce, expand = torch.nn.Conv2d(32, 8, 1), torch.nn.Conv2d(8, 32, 1)
    for name, module in (("reduce", reduce), ("expand", expand)):
        kernel = torch.tensor(weights[f"{name}/kernel"], dtype=torch.float32)
        module.weight.data = kernel.T[..., None, None]
        module.bias.data = torch.tensor(weights[f"{name}/bias"], dtype=torch.float32)
    x = random(2, 5, 7, 32)
    z = torch.from_numpy(x).permute(0, 3, 1, 2)
    gate = torch.sigmoid(expand(torch.relu(reduce(z.mean((2, 3), keepdim=True)))))
    close(layer(x), (z * gate).permute(0, 2, 3, 1).detach().numpy())


def test_sizes_may_be_unknown_in_every_kind_of_model(randomise):
    layer, weights = built(randomise)
    inputs = keras.Input((None, None, 6))
    functional = keras.Model(inputs, layer(inputs))
    sequential = keras.Sequential(
        [keras.Input((None, 6)), layers.Masking(), layer, layers.GlobalAveragePooling1D()]
    )
    for shape in [(2, 3, 4, 6), (1, 1, 5, 6)]:
        x = random(*shape)
        close(functional.predict(x, verbose=0), reference(x, weights, everywhere(x)))
    x, mask = random(2, 5, 6), np.array([RIGHT] * 2, bool)
    expected = reference(x, weights, mask)[:, :3].mean(axis=1)
    close(sequential.predict(x * mask[..., None], verbose=0), expected)


def test_activations_with_weights_are_trained_and_saved(randomise, tmp_path):
    layer = SqueezeExcite(2, activation=layers.PReLU(), gate_activation=layers.PReLU())
    config = json.dumps(layer.get_config())
    model = keras.Sequential([keras.Input((None, 6)), layer])
    assert len(randomise(layer)) == 6
    assert json.dumps(layer.get_config()) == config
    model.save(tmp_path / "model.keras")
    x = random(2, 5, 6)
    close(keras.models.load_model(tmp_path / "model.keras")(x), model(x), relative=0)


@pytest.mark.parametrize(
    ("policy", "unit"), [("mixed_float16", 2.0**-11), ("mixed_bfloat16", 2.0**-8)]
)
def test_half_precision_stays_near_float32(randomise, policy, unit):
    precise, _ = built(randomise)
    half, _ = built(randomise, dtype=policy)
    x = random(2, 80_000, 6) + 1  # a sum of which float16 cannot hold
    y = half(x)
    assert keras.backend.standardize_dtype(y.dtype) == half.compute_dtype
    close(ops.cast(y, "float32"), precise(x), relative=4 * unit)
