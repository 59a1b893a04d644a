"""The convolutions and batch norms inside a block of images, and what its arguments must be.

A block computes with the channels last, whatever its `data_format`.
"""

from keras import layers

from layerzoo.building.arguments import another, is_integer
from layerzoo.ops.channels import channel_axis


def positive_odd_int(**argument) -> int:
    """The argument must be an odd integer of at least 1, so that a kernel has a centre."""
    ((name, value),) = argument.items()
    if not is_integer(value) or value < 1 or value % 2 == 0:
        raise ValueError(f"`{name}` must be a positive odd integer. Received: {name}={value!r}")
    return int(value)


def must_divide(groups, **number) -> None:
    """`groups` must divide a number of channels, given by its name."""
    ((name, value),) = number.items()
    if value % groups:
        raise ValueError(
            f"`groups` must divide `{name}`. Received: groups={groups!r}, {name}={value!r}"
        )


def must_divide_channels(groups, channels, input_shape) -> None:
    """`groups` must divide the number of channels of the inputs."""
    if channels % groups:
        raise ValueError(
            "`groups` must divide the number of channels of the inputs. "
            f"Received: groups={groups}, input_shape={tuple(input_shape)}"
        )


def convolution(owner, channels, filters, kernel_size, name, strides=1, groups=1, zeros=False):
    """A built `Conv2D` without bias, with its owner's dtype policy.

    Args:
        owner: the block.
        channels: number of channels that it takes.
        filters: number of channels that it gives.
        kernel_size: height and width of the kernel.
        name: name of the layer.
        strides: how far the kernel moves.
        groups: in how many separate groups of channels it works.
        zeros: whether the kernel starts at zero, instead of by its owner's kernel initializer.
    """
    layer = layers.Conv2D(
        filters,
        kernel_size,
        strides,
        padding="same",
        data_format="channels_last",
        groups=groups,
        use_bias=False,
        kernel_initializer="zeros" if zeros else another(owner.kernel_initializer),
        dtype=owner.dtype_policy,
        name=name,
    )
    layer.build((None, None, None, channels))
    return layer


def depthwise_convolution(owner, channels, kernel_size, name, strides=1, use_bias=False):
    """A built `DepthwiseConv2D` with its owner's kernel initializer and dtype policy."""
    layer = layers.DepthwiseConv2D(
        kernel_size,
        strides,
        padding="same",
        data_format="channels_last",
        use_bias=use_bias,
        depthwise_initializer=another(owner.kernel_initializer),
        dtype=owner.dtype_policy,
        name=name,
    )
    layer.build((None, None, None, channels))
    return layer


def batch_norm(owner, channels, name, zeros=False):
    """A built `BatchNormalization` with its owner's `momentum`, `epsilon` and dtype policy.

    With `zeros`, gamma starts at 0.
    """
    layer = layers.BatchNormalization(
        momentum=owner.momentum,
        epsilon=owner.epsilon,
        gamma_initializer="zeros" if zeros else "ones",
        dtype=owner.dtype_policy,
        name=name,
    )
    layer.build((None, None, None, channels))
    return layer


def excitation(owner, kind, channels):
    """A built `SqueezeExcite` of channels with its owner's `squeeze_ratio` and activation, or None for None.

    Args:
        owner: the block.
        kind: the class of the layer.
        channels: number of channels.
    """
    if owner.squeeze_ratio is None:
        return None
    layer = kind(
        owner.squeeze_ratio,
        owner.activation,
        kernel_initializer=owner.kernel_initializer,
        data_format="channels_last",
        dtype=owner.dtype_policy,
        name="excite",
    )
    layer.build((None, None, None, channels))
    return layer


def shortcut_projection(owner, channels, normalised=True) -> tuple:
    """The 1x1 convolution of a shortcut and its batch norm, each None where there is none.

    A shortcut that keeps the shape needs neither.
    """
    if owner.strides == 1 and channels == owner.filters:
        return None, None
    project = convolution(owner, channels, owner.filters, 1, "project", owner.strides)
    norm = batch_norm(owner, owner.filters, "project_norm") if normalised else None
    return project, norm


def image_shape(input_shape, filters, strides, data_format) -> tuple:
    """The shape of the outputs of a block that moves by `strides` with padding `"same"`."""
    shape, axis = list(input_shape), channel_axis(data_format) % 4
    for side in {1, 2, 3} - {axis}:
        shape[side] = None if shape[side] is None else -(-shape[side] // strides)
    shape[axis] = filters
    return tuple(shape)
