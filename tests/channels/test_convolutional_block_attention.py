import json

import keras
import numpy as np
import pytest
from arrays import close, random
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers, ops

from layerzoo import ConvolutionalBlockAttention

ACTIVATIONS = {"relu": lambda z: np.maximum(z, 0), "silu": lambda z: z / (1 + np.exp(-z))}


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def reference(x, weights, activation="relu", use_bias=True):
    """Equations 2 and 3 of the paper, without batch normalisation, pixel by pixel in float64."""
    weights = {**dict.fromkeys(["reduce/bias", "expand/bias", "convolution/bias"], 0.0), **weights}
    batch, height, width, _ = x.shape
    y, kernel = np.zeros(x.shape), weights["convolution/kernel"][..., 0]
    before = (kernel.shape[0] - 1) // 2

    def mlp(z):
        hidden = ACTIVATIONS[activation](z @ weights["reduce/kernel"] + weights["reduce/bias"])
        return hidden @ weights["expand/kernel"] + weights["expand/bias"]

    for b in range(batch):
        pixels = x[b].reshape(height * width, -1).astype("float64")
        u = x[b] * sigmoid(mlp(pixels.mean(axis=0)) + mlp(pixels.max(axis=0)))
        for row, column in np.ndindex(height, width):
            gate = weights["convolution/bias"]
            for i, j in np.ndindex(kernel.shape[:2]):
                r, c = row + i - before, column + j - before
                if 0 <= r < height and 0 <= c < width:
                    gate = gate + kernel[i, j] @ [u[r, c].mean(), u[r, c].max()]
            y[b, row, column] = sigmoid(gate) * u[row, column]
    return y


def built(randomise, channels=6, **config):
    layer = ConvolutionalBlockAttention(**{"ratio": 2, "kernel_size": 3, **config})
    layer.build((None, channels, None, channels))
    return layer, randomise(layer)


@settings(max_examples=20, deadline=None, derandomize=True, database=None)
@given(
    shape=st.sampled_from([(2, 3, 4, 6), (1, 5, 2, 8), (1, 1, 1, 4)]),
    ratio=st.sampled_from([2, 3, 16]),
    kernel_size=st.sampled_from([1, 3, 4]),
    activation=st.sampled_from(["relu", "silu"]),
    use_bias=st.booleans(),
    data_format=st.sampled_from(["channels_last", "channels_first"]),
    seed=st.integers(0, 99),
)
def test_equals_the_reference(
    randomise, shape, ratio, kernel_size, activation, use_bias, data_format, seed
):
    layer = ConvolutionalBlockAttention(
        ratio, kernel_size, activation, use_bias, data_format=data_format
    )
    x = random(*shape, seed=seed)
    given = x if data_format == "channels_last" else np.moveaxis(x, -1, 1).copy()
    layer.build(given.shape)
    weights = randomise(layer, seed)
    assert len(weights) == (6 if use_bias else 3)
    assert weights["reduce/kernel"].shape == (shape[-1], max(1, shape[-1] // ratio))
    y = ops.convert_to_numpy(layer(given))
    y = y if data_format == "channels_last" else np.moveaxis(y, 1, -1)
    close(y, reference(x, weights, activation, use_bias))


@pytest.mark.parametrize("normalised", [False, True])
def test_equals_the_paper_s_modules_in_torch(randomise, normalised):
    torch = pytest.importorskip("torch", reason="the other side of the comparison is PyTorch")
    layer, weights = built(randomise, channels=32, ratio=4, kernel_size=7)
    weights = {path: torch.tensor(value, dtype=torch.float32) for path, value in weights.items()}
    reduce, expand = torch.nn.Conv2d(32, 8, 1), torch.nn.Conv2d(8, 32, 1)
    for name, module in (("reduce", reduce), ("expand", expand)):
        module.weight.data = weights[f"{name}/kernel"].T[..., None, None]
        module.bias.data = weights[f"{name}/bias"]
    convolution = torch.nn.Conv2d(2, 1, 7, padding=3)
    convolution.weight.data = weights["convolution/kernel"].permute(3, 2, 0, 1)
    convolution.bias.data = weights["convolution/bias"]
    norm = torch.nn.Identity()
    if normalised:  # at inference it folds into kernel and bias
        norm = torch.nn.BatchNorm2d(1).eval()
        norm.weight.data, norm.bias.data = torch.tensor([1.7]), torch.tensor([-0.3])
        norm.running_mean.data, norm.running_var.data = torch.tensor([0.4]), torch.tensor([2.5])
        scale = 1.7 / np.sqrt(2.5 + norm.eps)
        kernel, bias = layer.convolution.kernel, layer.convolution.bias
        kernel.assign(ops.convert_to_numpy(kernel) * scale)
        bias.assign((ops.convert_to_numpy(bias) - 0.4) * scale - 0.3)

    x = random(2, 5, 9, 32)
    z = torch.from_numpy(x).permute(0, 3, 1, 2)
    mean, greatest = z.mean((2, 3), keepdim=True), z.amax((2, 3), keepdim=True)
    mlp = torch.nn.Sequential(reduce, torch.nn.ReLU(), expand)
    z = z * torch.sigmoid(mlp(mean) + mlp(greatest))
    both = torch.cat([z.mean(1, keepdim=True), z.amax(1, keepdim=True)], 1)
    z = z * torch.sigmoid(norm(convolution(both)))
    close(layer(x), z.permute(0, 2, 3, 1).detach().numpy())


def test_height_and_width_may_be_unknown_in_every_kind_of_model(randomise):
    layer, weights = built(randomise)
    first = ConvolutionalBlockAttention(2, 3, data_format="channels_first")
    sequential = keras.Sequential([keras.Input((6, None, None)), first])
    for weight, value in zip(first.weights, layer.get_weights(), strict=True):
        weight.assign(value)
    inputs = keras.Input((None, None, 6))
    functional = keras.Model(inputs, layer(inputs))
    assert functional.output_shape == (None, None, None, 6)
    assert sequential.output_shape == (None, 6, None, None)
    for shape in [(2, 3, 4, 6), (1, 1, 5, 6)]:
        x = random(*shape)
        expected = reference(x, weights)
        close(functional.predict(x, verbose=0), expected)
        y = sequential.predict(np.moveaxis(x, -1, 1), verbose=0)
        close(np.moveaxis(y, 1, -1), expected)


def test_an_activation_with_weights_is_trained_and_saved(randomise, tmp_path):
    layer = ConvolutionalBlockAttention(2, 3, activation=layers.PReLU())
    config = json.dumps(layer.get_config())
    model = keras.Sequential([keras.Input((None, None, 6)), layer])
    assert len(randomise(layer)) == 7
    assert json.dumps(layer.get_config()) == config
    model.save(tmp_path / "model.keras")
    x = random(2, 5, 4, 6)
    close(keras.models.load_model(tmp_path / "model.keras")(x), model(x), relative=0)


def test_gradients_are_finite_where_every_pixel_is_the_greatest(randomise, gradients):
    layer, _ = built(randomise)
    for x in (np.zeros((2, 3, 4, 6), "float32"), np.ones((2, 3, 4, 6), "float32")):
        found = gradients(layer, x)
        assert all(np.isfinite(gradient).all() for gradient in found)
        assert any(gradient.any() for gradient in found) == x.any()


@pytest.mark.parametrize(
    ("policy", "unit"), [("mixed_float16", 2.0**-11), ("mixed_bfloat16", 2.0**-8)]
)
def test_half_precision_stays_near_float32(randomise, policy, unit):
    precise, _ = built(randomise)
    half, _ = built(randomise, dtype=policy)
    x = random(2, 300, 300, 6) + 1  # a sum of which float16 cannot hold
    y = half(x)
    assert keras.backend.standardize_dtype(y.dtype) == half.compute_dtype
    close(ops.cast(y, "float32"), precise(x), relative=4 * unit)
