"""Functions for layers that gate channels: the axes of an image or a sequence, and means over positions.

Axis letters: `b` batch, `c` channels. The other axes are positions: `t` of a sequence, `y x` of an image.
"""

import math

from keras import backend, ops


def channel_axis(data_format) -> int:
    """The index of the channel axis."""
    return -1 if data_format == "channels_last" else 1


def known_channels(input_shape, data_format) -> int:
    """The number of channels. A layer with weights must know it to build, and no axis may be empty then."""
    if not input_shape or input_shape[channel_axis(data_format)] is None:
        raise ValueError(
            "The channel axis of the inputs must have a known size. "
            f"Received: input_shape={input_shape}, data_format={data_format!r}"
        )
    if 0 in input_shape[1:]:
        raise ValueError(
            "No axis of the inputs may be empty, except the batch. "
            f"Received: input_shape={tuple(input_shape)}, data_format={data_format!r}"
        )
    return input_shape[channel_axis(data_format)]


def position_axes(x, data_format) -> tuple[int, ...]:
    """The axes of `x` that are neither batch nor channels."""
    rank = len(x.shape)
    return tuple(range(1, rank - 1) if data_format == "channels_last" else range(2, rank))


def position_sizes(x, data_format) -> tuple[int | None, ...]:
    """The sizes of the batch and of the positions of `x`: the shape of a mask for them."""
    return (x.shape[0], *(x.shape[axis] for axis in position_axes(x, data_format)))


def mean_over_positions(x, mask, data_format):
    """Set padding to zero, and take the mean of each channel over the other positions.

    Args:
        x: `(b, ..., c)`, or `(b, c, ...)` with `data_format="channels_first"`.
        mask: `(b, t)` booleans, false at padding. For an image, `(b, y)` or `(b, y, x)`. None if nothing
            is padded.
        data_format: `"channels_last"` or `"channels_first"`.

    Returns:
        `x` with zeros at its padding, and the mean, `(b, c)`, in float32 or better. The mean of a sample
        that is all padding is zero.
    """
    axes = position_axes(x, data_format)
    precise = backend.result_type(x.dtype, "float32")
    if mask is None:
        return x, ops.mean(ops.cast(x, precise), axes)
    valid = ops.expand_dims(mask, 1) if data_format == "channels_first" else mask
    while len(valid.shape) < len(x.shape):
        valid = ops.expand_dims(valid, -1)
    x = ops.where(valid, x, 0.0)
    share = ops.mean(ops.cast(valid, precise), axes)  # (b, 1)
    return x, ops.mean(ops.cast(x, precise), axes) / ops.where(share > 0, share, 1.0)


def scale_channels(x, gate, data_format):
    """Multiply each channel of `x` by a number. `gate` has shape `(b, c)`."""
    return x * ops.expand_dims(ops.cast(gate, x.dtype), position_axes(x, data_format))


def nearest_odd(x) -> int:
    """The odd number nearest to `|x|`, rounding up in a tie."""
    return 2 * math.floor(abs(x) / 2) + 1


def adaptive_kernel_size(channels, gamma, beta) -> int:
    """The odd number nearest to `|log2(channels) + beta| / gamma`."""
    return nearest_odd((math.log2(channels) + beta) / gamma)
