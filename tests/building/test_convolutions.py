import numpy as np
import pytest
from keras import initializers, layers, ops

from layerzoo import ResNetBlock
from layerzoo.building.convolutions import (
    batch_norm,
    convolution,
    depthwise_convolution,
    image_shape,
    must_divide,
    must_divide_channels,
    positive_odd_int,
    shortcut_projection,
)


@pytest.mark.parametrize("value", [1, 3, np.int64(5)])
def test_odd_integers(value):
    found = positive_odd_int(kernel_size=value)
    assert type(found) is int
    assert found == value


@pytest.mark.parametrize("value", [2, 0, -1, 3.0, "3", True, (3, 3), None])
def test_what_is_no_odd_integer_is_refused(value):
    with pytest.raises(
        ValueError, match=r"^`kernel_size` must be a positive odd integer\. Received"
    ):
        positive_odd_int(kernel_size=value)


def test_groups():
    must_divide(2, filters=4)
    must_divide_channels(2, 4, (None, 4))
    told = r"^`groups` must divide `filters`\. Received: groups=3, filters=4$"
    with pytest.raises(ValueError, match=told):
        must_divide(3, filters=4)
    with pytest.raises(ValueError, match=r"Received: groups=3, input_shape=\(None, 4\)$"):
        must_divide_channels(3, 4, (None, 4))


def test_parts_take_their_owner_s_settings():
    owner = ResNetBlock(
        8,
        kernel_initializer=initializers.RandomNormal(seed=1),
        momentum=0.5,
        epsilon=0.1,
        dtype="mixed_bfloat16",
    )
    one = convolution(owner, 4, 8, 3, "one", 2, 2)
    other = convolution(owner, 4, 8, 3, "other", zeros=True)
    deep = depthwise_convolution(owner, 4, 3, "deep", 2, use_bias=True)
    norm, zero = batch_norm(owner, 4, "norm"), batch_norm(owner, 4, "zero", zeros=True)
    for part in (one, other, deep, norm, zero):
        assert part.built
        assert part.dtype_policy == owner.dtype_policy
    assert one.kernel_initializer is not owner.kernel_initializer
    assert tuple(one.kernel.shape) == (3, 3, 2, 8)
    assert (one.strides, one.padding, one.use_bias) == ((2, 2), "same", False)
    assert not ops.convert_to_numpy(other.kernel).any()
    assert tuple(deep.kernel.shape) == (3, 3, 4, 1)
    assert (deep.use_bias, deep.strides) == (True, (2, 2))
    assert (norm.momentum, norm.epsilon) == (0.5, 0.1)
    assert isinstance(zero.gamma_initializer, initializers.Zeros)


@pytest.mark.parametrize(
    ("channels", "strides", "there"), [(8, 1, False), (4, 1, True), (8, 2, True)]
)
def test_a_shortcut_is_projected_where_it_changes_shape(channels, strides, there):
    owner = ResNetBlock(8, strides=strides)
    project, norm = shortcut_projection(owner, channels)
    assert (project is not None) == (norm is not None) == there
    if there:
        assert tuple(project.kernel.shape) == (1, 1, channels, 8)
        assert shortcut_projection(owner, channels, normalised=False)[1] is None


@pytest.mark.parametrize("strides", [1, 2, 3])
def test_shapes_are_those_of_keras(strides):
    for shape in [(2, 5, 6, 4), (None, None, 7, 4)]:
        of_keras = layers.Conv2D(8, 3, strides, padding="same", data_format="channels_last")
        assert image_shape(shape, 8, strides, "channels_last") == of_keras.compute_output_shape(
            shape
        )
    assert image_shape((2, 4, 5, None), 8, 2, "channels_first") == (2, 8, 3, None)
