import keras
import numpy as np
import pytest
from arrays import INSIDE, LEFT, close, random
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers, ops

from layerzoo import WaveNetBlock


def reference(x, weights, dilation):
    """The docstring's equations in float64, step by step and tap by tap: the output, and the skip output."""

    def convolved(name):
        kernel = weights[f"{name}/kernel"]
        k = len(kernel)
        sums = np.zeros((*x.shape[:2], kernel.shape[-1])) + weights[f"{name}/bias"]
        for t in range(x.shape[1]):
            for i in range(k):
                if t - i * dilation >= 0:
                    sums[:, t] += (
                        x[:, t - i * dilation] @ kernel[k - 1 - i]
                    )  # Keras's last tap is now
        return sums

    z = np.tanh(convolved("convolve_filter")) / (1 + np.exp(-convolved("convolve_gate")))
    y = x + z @ weights["residual/kernel"] + weights["residual/bias"]
    if "skip/kernel" not in weights:
        return [y]
    return [y, z @ weights["skip/kernel"] + weights["skip/bias"]]


def built(randomise, *args, width=3, seed=0, **config):
    layer = WaveNetBlock(*args, **config)
    layer.build((None, None, width))
    return layer, randomise(layer, seed)


@settings(max_examples=20, deadline=None, derandomize=True, database=None)
@given(
    filters=st.sampled_from([1, 5]),
    kernel_size=st.sampled_from([1, 2, 3]),
    dilation=st.sampled_from([1, 2, 4]),
    skip_filters=st.sampled_from([None, 4]),
    time=st.sampled_from([1, 9]),
    seed=st.integers(0, 99),
)
def test_equals_the_reference(randomise, filters, kernel_size, dilation, skip_filters, time, seed):
    layer, weights = built(randomise, filters, kernel_size, dilation, skip_filters, seed=seed)
    x = random(2, time, 3, seed=seed)
    found, expected = keras.tree.flatten(layer(x)), reference(x, weights, dilation)
    assert len(found) == len(expected)
    for y, due in zip(found, expected, strict=True):
        close(y, due)


@pytest.mark.parametrize("output", [0, 1], ids=["output", "skip"])
@pytest.mark.parametrize(("kernel_size", "dilation"), [(1, 3), (2, 1), (2, 8), (3, 2)])
def test_the_receptive_field_is_exact(randomise, gradients, kernel_size, dilation, output):
    layer, _ = built(randomise, 4, kernel_size, dilation, skip_filters=5)
    inputs, field, time = keras.Input((20, 3)), (kernel_size - 1) * dilation, 20
    chosen = layer(inputs)[output]
    layer.trainable = False  # the other output's weights have no gradient
    last = keras.Model(inputs, layers.Cropping1D((time - 1, 0))(chosen))
    (sample,) = gradients(last, random(1, time, 3))[0]
    assert not sample[: time - 1 - field].any()
    assert sample[time - 1 - field].all()
    middle = keras.Model(inputs, layers.Cropping1D((10, 9))(chosen))
    assert not gradients(middle, random(1, time, 3))[0][:, 11:].any()


@pytest.mark.parametrize("name", ["left", "right"])
def test_padding_on_either_side_changes_no_valid_step(randomise, name):
    layer, _ = built(randomise, 4, 3, 2, skip_filters=5)
    x = random(2, 9, 3)
    padding, real = np.full((2, 4, 3), 7, "float32"), np.ones((2, 9), bool)
    none = np.zeros((2, 4), bool)
    left = name == "left"
    padded = np.concatenate([padding, x] if left else [x, padding], axis=1)
    mask = np.concatenate([none, real] if left else [real, none], axis=1)
    for y, due in zip(layer(padded, mask=mask), layer(x), strict=True):
        y, due = ops.convert_to_numpy(y), ops.convert_to_numpy(due)
        close(y[mask], due.reshape(-1, due.shape[-1]))
        assert not y[~mask].any()


def test_padding_inside_counts_as_zeros(randomise):
    layer, weights = built(randomise, 4, 2, 1)
    x, mask = random(2, 5, 3), np.array([LEFT, INSIDE], bool)[..., None]
    (expected,) = reference(np.where(mask, x, 0), weights, 1)
    close(layer(x, mask=mask[..., 0]), np.where(mask, expected, 0))


def test_both_outputs_carry_the_mask():
    tokens = np.array([[3, 1, 4, 0, 0]])
    inputs = keras.Input((None,))
    x, skips = layers.Embedding(9, 6, mask_zero=True)(inputs), []
    for dilation in (1, 2):
        x, skip = WaveNetBlock(4, 2, dilation, skip_filters=6)(x)
        skips.append(skip)
    pooled = [layers.GlobalAveragePooling1D()(each) for each in (x, *skips)]
    model = keras.Model(inputs, pooled)
    for y, due in zip(model(tokens), model(tokens[:, :3]), strict=True):
        close(y, due)


def test_without_skip_filters_it_stands_in_a_sequential_model(tmp_path):
    blocks = [WaveNetBlock(4, 2, dilation) for dilation in (1, 2, 4)]
    model = keras.Sequential([keras.Input((None, 3)), *blocks, layers.Dense(2)])
    assert model.output_shape == (None, None, 2)
    model.save(tmp_path / "model.keras")
    x = random(2, 9, 3)
    close(keras.models.load_model(tmp_path / "model.keras")(x), model(x), relative=0)


def test_shapes_of_both_outputs_are_known_before_any_number():
    layer = WaveNetBlock(4, 2, 1, skip_filters=5)
    outputs = layer(keras.Input((None, 3)))
    assert [tuple(y.shape) for y in outputs] == [(None, None, 3), (None, None, 5)]
    assert layer.compute_output_shape((2, 7, 3)) == ((2, 7, 3), (2, 7, 5))
