import keras
import numpy as np
import pytest
from arrays import close, random
from keras import activations, layers, ops

from layerzoo.ops.activations import activated
from layerzoo.ops.images import (
    channels_restored,
    channels_to_end,
    convolved,
    global_response_norm,
    resized,
)


def test_the_channels_go_to_the_end_and_back():
    x = random(2, 3, 4, 5)
    for data_format, shape in (("channels_last", (2, 3, 4, 5)), ("channels_first", (2, 4, 5, 3))):
        moved = channels_to_end(ops.convert_to_tensor(x), data_format)
        assert tuple(moved.shape) == shape
        back = ops.convert_to_numpy(channels_restored(moved, data_format))
        np.testing.assert_array_equal(back, x)


@pytest.mark.parametrize(
    ("groups", "size", "strides"), [(1, 3, 1), (2, 3, 2), (3, 1, 1), (6, 5, 2)]
)
def test_a_convolution_in_groups_is_one_for_each_group(groups, size, strides):
    layer = layers.Conv2D(12, size, strides, "same", "channels_last", groups=groups, use_bias=False)
    layer.build((None, None, None, 6))
    x = random(2, 5, 4, 6)
    kernel = ops.convert_to_numpy(layer.kernel)
    due = [
        ops.conv(part, own, strides, "same", "channels_last")
        for part, own in zip(np.split(x, groups, -1), np.split(kernel, groups, -1), strict=True)
    ]
    due = np.concatenate([ops.convert_to_numpy(each) for each in due], axis=-1)
    close(convolved(layer, ops.convert_to_tensor(x)), due)
    close(layer(x), due)
    symbol = keras.KerasTensor((None, None, 4, 6))
    assert tuple(convolved(layer, symbol).shape) == (None, None, -(-4 // strides), 12)


@pytest.mark.parametrize("strides", [2, 3, 4])
@pytest.mark.parametrize("kind", [layers.Conv2D, layers.DepthwiseConv2D])
def test_a_file_of_pytorch_pads_by_the_size(kind, strides, monkeypatch):
    if keras.backend.backend() != "torch":
        pytest.skip("the other backends pad in their own convolutions")
    monkeypatch.setattr("layerzoo.ops.images.exporting", lambda: True)
    size = {"filters": 6} if kind is layers.Conv2D else {}
    for kernel_size in (1, 3, 5):
        config = dict(strides=strides, padding="same", use_bias=False, **size)
        layer = kind(kernel_size=kernel_size, data_format="channels_last", **config)
        layer.build((None, None, None, 4))
        for height, width in ((5, 6), (7, 8), (9, 4)):
            x = ops.convert_to_tensor(random(2, height, width, 4))
            close(convolved(layer, x), layer(x))


def test_the_response_of_a_channel_relative_to_the_others():
    x = np.zeros((1, 2, 1, 2), "float32")
    x[0, :, 0] = [[3.0, 1.0], [4.0, 0.0]]  # norms 5 and 1, whose mean is 3
    gamma, beta = np.array([6.0, 3.0], "float32"), np.array([0.0, 1.0], "float32")
    y = global_response_norm(*map(ops.convert_to_tensor, (x, gamma, beta)), 0.0)
    close(y, np.array([[[33.0, 3.0]], [[44.0, 1.0]]])[None])


def test_an_activation_keeps_the_dtype_and_gelu_is_keras_s():
    x = ops.convert_to_tensor(random(3, 4))
    for function in (activations.gelu, activations.silu):
        close(activated(function, x), function(x))
    y = activated(layers.ReLU(dtype="float32"), ops.cast(x, "bfloat16"))
    assert keras.backend.standardize_dtype(y.dtype) == "bfloat16"


@pytest.mark.parametrize(
    "sizes", [((4, 6), (2, 3)), ((5, 3), (2, 2)), ((2, 7), (3, 4)), ((1, 1), (4, 1))]
)
def test_resized_images_are_those_in_torch(sizes):
    torch = pytest.importorskip("torch", reason="the other side of the comparison is PyTorch")
    before, after = sizes
    x = random(2, *before, 3)
    moved = torch.tensor(np.moveaxis(x, -1, 1).copy())
    expected = torch.nn.functional.interpolate(moved, after, mode="bilinear").numpy()
    y = resized(ops.convert_to_tensor(x), ops.zeros((2, *after, 1)))
    close(y, np.moveaxis(expected, 1, -1))


def test_an_image_of_the_same_size_is_kept_exactly():
    x = random(2, 5, 7, 3)
    np.testing.assert_array_equal(ops.convert_to_numpy(resized(ops.convert_to_tensor(x), x)), x)
