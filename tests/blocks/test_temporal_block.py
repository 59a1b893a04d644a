import keras
import numpy as np
import pytest
from arrays import INSIDE, LEFT, close, random
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers, ops

from layerzoo import TemporalBlock

SIGMA = {"relu": lambda z: np.maximum(z, 0), "tanh": np.tanh}


def convolved(x, weights, name, dilation):
    """The causal convolution of the docstring in float64, step by step and tap by tap."""
    kernel, y = weights[f"{name}/kernel"], np.zeros((*x.shape[:2], len(weights[f"{name}/bias"])))
    k = len(kernel)
    for t in range(x.shape[1]):
        for i in range(k):
            if t - i * dilation >= 0:
                y[:, t] += x[:, t - i * dilation] @ kernel[k - 1 - i]  # Keras's last tap is now
    return y + weights[f"{name}/bias"]


def reference(x, weights, dilation, activation="relu"):
    """The docstring's equation in float64."""
    sigma = SIGMA[activation]
    hidden = sigma(convolved(x, weights, "convolve_1", dilation))
    hidden = sigma(convolved(hidden, weights, "convolve_2", dilation))
    if "project/kernel" in weights:
        x = x @ weights["project/kernel"] + weights["project/bias"]
    return sigma(x + hidden)


def built(randomise, *args, width=3, seed=0, **config):
    layer = TemporalBlock(*args, **config)
    layer.build((None, None, width))
    return layer, randomise(layer, seed)


@settings(max_examples=20, deadline=None, derandomize=True, database=None)
@given(
    filters=st.sampled_from([3, 5]),
    kernel_size=st.sampled_from([1, 2, 3]),
    dilation=st.sampled_from([1, 2, 4]),
    activation=st.sampled_from(list(SIGMA)),
    time=st.sampled_from([1, 9]),
    seed=st.integers(0, 99),
)
def test_equals_the_reference(randomise, filters, kernel_size, dilation, activation, time, seed):
    layer, weights = built(randomise, filters, kernel_size, dilation, activation, seed=seed)
    x = random(2, time, 3, seed=seed)
    close(layer(x), reference(x, weights, dilation, activation))


@pytest.mark.parametrize(("kernel_size", "dilation"), [(1, 3), (2, 1), (2, 4), (3, 2)])
def test_the_receptive_field_is_exact(randomise, gradients, kernel_size, dilation):
    layer, _ = built(randomise, 4, kernel_size, dilation, "tanh")
    field, time = 2 * (kernel_size - 1) * dilation, 20
    last = keras.Sequential([keras.Input((time, 3)), layer, layers.Cropping1D((time - 1, 0))])
    (sample,) = gradients(last, random(1, time, 3))[0]
    assert not sample[: time - 1 - field].any()
    assert sample[time - 1 - field].all()
    middle = keras.Sequential([keras.Input((time, 3)), layer, layers.Cropping1D((10, 9))])
    assert not gradients(middle, random(1, time, 3))[0][:, 11:].any()


@pytest.mark.parametrize("name", ["left", "right"])
def test_padding_on_either_side_changes_no_valid_step(randomise, name):
    layer, _ = built(randomise, 4, 3, 2)
    x = random(2, 9, 3)
    padding, real = np.full((2, 4, 3), 7, "float32"), np.ones((2, 9), bool)
    none = np.zeros((2, 4), bool)
    left = name == "left"
    padded = np.concatenate([padding, x] if left else [x, padding], axis=1)
    mask = np.concatenate([none, real] if left else [real, none], axis=1)
    y = ops.convert_to_numpy(layer(padded, mask=mask))
    close(y[mask], ops.convert_to_numpy(layer(x)).reshape(-1, 4))
    assert not y[~mask].any()


def test_padding_inside_counts_as_zeros_and_so_does_what_is_computed_there(randomise):
    layer, weights = built(randomise, 4, 2, 1)
    x, mask = random(2, 5, 3), np.array([LEFT, INSIDE], bool)
    z = np.where(mask[..., None], x, 0)
    hidden = np.maximum(convolved(z, weights, "convolve_1", 1), 0) * mask[..., None]
    hidden = np.maximum(convolved(hidden, weights, "convolve_2", 1), 0)
    shortcut = z @ weights["project/kernel"] + weights["project/bias"]
    close(layer(x, mask=mask), np.maximum(shortcut + hidden, 0) * mask[..., None])


def test_a_stack_passes_the_mask_of_an_embedding():
    blocks = [TemporalBlock(6, 3, dilation) for dilation in (1, 2, 4)]
    embedding, pooling = layers.Embedding(9, 6, mask_zero=True), layers.GlobalAveragePooling1D()
    model = keras.Sequential([keras.Input((None,)), embedding, *blocks, pooling])
    tokens = np.array([[3, 1, 4]])
    for padded in ([[0, 0, 3, 1, 4]], [[3, 1, 4, 0, 0]]):
        close(model(np.array(padded)), model(tokens))


def test_dropout_drops_whole_channels_of_each_convolution(randomise):
    layer, _ = built(randomise, 3, 2, 1, dropout=1.0)
    x = random(2, 5, 3)
    close(layer(x, training=True), np.maximum(x, 0))
    layer = TemporalBlock(40, 1, 1, "linear", dropout=0.5, use_bias=False, seed=1)
    x = random(1, 6, 2)
    layer.build(x.shape)
    layer.project.kernel.assign(np.zeros((2, 40)))
    y = ops.convert_to_numpy(layer(x, training=True))
    dropped = (y == 0).all(axis=1)
    assert 5 < dropped.sum() < 35
    assert (y != 0).all(axis=1)[~dropped].all()


def test_its_convolutions_take_channels_last_whatever_the_global_setting():
    before = keras.config.image_data_format()
    keras.config.set_image_data_format("channels_first")
    try:
        assert TemporalBlock(4, 2, 1)(random(2, 5, 3)).shape == (2, 5, 4)
    finally:
        keras.config.set_image_data_format(before)


def test_an_activation_with_weights_is_shared_by_its_three_places(randomise, tmp_path):
    layer = TemporalBlock(4, 2, 1, layers.PReLU(shared_axes=[1]))
    model = keras.Sequential([keras.Input((None, 3)), layer])
    assert len(randomise(layer)) == 7
    model.save(tmp_path / "model.keras")
    x = random(2, 5, 3)
    close(keras.models.load_model(tmp_path / "model.keras")(x), model(x), relative=0)
