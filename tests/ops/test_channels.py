import keras
import numpy as np
import pytest
from arrays import random
from keras import ops

from layerzoo.ops.channels import (
    adaptive_kernel_size,
    known_channels,
    mean_over_positions,
    nearest_odd,
    scale_channels,
)

FORMATS = pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])


def laid_out(x, data_format):
    """An array that has its channels last as the layer would get it."""
    return x if data_format == "channels_last" else np.moveaxis(x, -1, 1).copy()


@FORMATS
@pytest.mark.parametrize(
    ("shape", "masked"),
    [((3, 5, 4), 0), ((3, 5, 4), 1), ((3, 2, 5, 4), 1), ((3, 2, 5, 4), 2), ((3, 2, 3, 2, 4), 2)],
)
def test_the_mean_is_that_of_the_valid_positions(data_format, shape, masked):
    x = random(*shape)
    mask = np.random.default_rng(1).random(shape[: masked + 1]) < 0.5 if masked else None
    valid = np.ones(shape[:-1], bool)
    if masked:
        mask[0], mask[1] = False, True
        missing = (1,) * (len(shape) - 1 - mask.ndim)
        valid = np.broadcast_to(mask.reshape(mask.shape + missing), shape[:-1])
    spoilt = np.where(valid[..., None], x, np.nan).astype("float32")
    zeroed, mean = mean_over_positions(laid_out(spoilt, data_format), mask, data_format)
    np.testing.assert_array_equal(
        ops.convert_to_numpy(zeroed), laid_out(np.where(valid[..., None], x, 0), data_format)
    )
    expected = [x[b][valid[b]].mean(axis=0) if valid[b].any() else np.zeros(4) for b in range(3)]
    np.testing.assert_allclose(ops.convert_to_numpy(mean), expected, atol=1e-6)


def test_the_mean_of_half_precision_is_taken_in_float32():
    x = np.full((1, 3000, 1), 60.0, "float16")  # the sum of which float16 cannot hold
    for mask in (None, np.ones((1, 3000), bool)):
        same, mean = mean_over_positions(ops.convert_to_tensor(x), mask, "channels_last")
        assert keras.backend.standardize_dtype(mean.dtype) == "float32"
        assert keras.backend.standardize_dtype(same.dtype) == "float16"
        np.testing.assert_allclose(ops.convert_to_numpy(mean), [[60.0]], rtol=1e-6)


@FORMATS
def test_each_channel_is_scaled_by_its_number(data_format):
    x, gate = random(2, 3, 5, 4), random(2, 4, seed=1)
    y = scale_channels(ops.convert_to_tensor(laid_out(x, data_format)), gate, data_format)
    expected = laid_out(x * gate[:, None, None], data_format)
    np.testing.assert_allclose(ops.convert_to_numpy(y), expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("x", "odd"), [(0, 1), (0.5, 1), (1.9, 1), (2, 3), (2.1, 3), (3.9, 3), (4, 5), (-4.5, 5)]
)
def test_nearest_odd(x, odd):
    assert nearest_odd(x) == odd
    others = [n for n in range(1, 20, 2) if n != odd]
    assert all(abs(abs(x) - odd) <= abs(abs(x) - n) for n in others)


def test_the_kernel_grows_with_the_logarithm_of_the_channels():
    sizes = {channels: adaptive_kernel_size(channels, 2, 1) for channels in (1, 64, 128, 512, 2048)}
    assert sizes == {1: 1, 64: 3, 128: 5, 512: 5, 2048: 7}


@pytest.mark.parametrize(
    ("shape", "data_format"),
    [((2, 3, None), "channels_last"), ((2, None, 3), "channels_first"), (None, "channels_last")],
)
def test_unknown_channels_are_refused(shape, data_format):
    with pytest.raises(ValueError, match=r"known size\. Received: input_shape=.*, data_format='ch"):
        known_channels(shape, data_format)
