"""Functions for blocks of convolutions: where the channels are, and convolutions in groups.

Axis letters: `b` batch, `y x` rows and columns, `c` channels.
"""

import keras
from keras import backend, layers, ops

from layerzoo.ops.attention_torch import exporting


def channels_to_end(x, data_format):
    """Images `(b, y, x, c)` of images in either data format.

    A block computes in this form, because TensorFlow has no convolution of the other form on a CPU.
    """
    return x if data_format == "channels_last" else ops.transpose(x, (0, 2, 3, 1))


def channels_restored(x, data_format):
    """Images `(b, y, x, c)` in the data format that `channels_to_end` was given."""
    return x if data_format == "channels_last" else ops.transpose(x, (0, 3, 1, 2))


def convolved(layer, x):
    """`layer(x)` for images `(b, y, x, c)`, of operations that every exporter can handle.

    On TensorFlow, Keras compiles a convolution in groups by XLA, anew at each eager call. On a CPU, this is
    more than a hundred times slower than one convolution for each group, and no exporter takes it.
    On PyTorch, Keras pads a convolution with strides for the size that it is traced with. In a file, the
    padding is therefore computed from the size.

    Args:
        layer: a `Conv2D` or `DepthwiseConv2D` with padding `"same"`, without bias and activation.
        x: the images.
    """
    grouped, strided = getattr(layer, "groups", 1) > 1, max(layer.strides) > 1
    if keras.utils.is_keras_tensor(x):
        return layer(x)
    if backend.backend() == "tensorflow" and grouped:
        return _group_by_group(layer, x)
    if backend.backend() == "torch" and strided and exporting():
        return _padded_by_size(layer, x)
    return layer(x)


def _group_by_group(layer, x):
    kernel = ops.convert_to_tensor(layer.kernel)
    parts = ops.split(ops.cast(x, kernel.dtype), layer.groups, axis=-1)
    kernels = ops.split(kernel, layer.groups, axis=-1)
    return ops.concatenate(
        [
            ops.conv(part, own, list(layer.strides), layer.padding, "channels_last")
            for part, own in zip(parts, kernels, strict=True)
        ],
        axis=-1,
    )


def _padded_by_size(layer, x):
    import torch

    (size, _), (stride, _) = layer.kernel_size, layer.strides
    if size < stride:  # the padding is zero for some sizes, which no formula says without a branch
        return layer(x)
    totals = [size - stride + -length % stride for length in (x.shape[2], x.shape[1])]
    ends = [end for total in totals for end in (total // 2, total - total // 2)]
    x = torch.nn.functional.pad(x, [0, 0, *ends])
    kernel = ops.cast(layer.kernel, x.dtype)
    convolution = ops.depthwise_conv if isinstance(layer, layers.DepthwiseConv2D) else ops.conv
    return convolution(x, kernel, list(layer.strides), "valid", "channels_last")


def global_response_norm(x, gamma, beta, epsilon):
    r"""Rescale each channel of `x: (b, y, x, c)` by its share of the whole response, and add `x` itself.

    $$
    y = x + \gamma \odot x \odot \frac{g}{\operatorname{mean}_c g + \epsilon} + \beta,
    \qquad g_c = \lVert x_{:,:,c} \rVert_2
    $$

    `gamma` and `beta` have shape `(c,)`. The norms are computed in float32 or better. An image of zeros has a
    gradient of zero, where that of a square root would be infinite.
    """
    precise = ops.cast(x, backend.result_type(x.dtype, "float32"))
    energy = ops.sum(ops.square(precise), axis=(1, 2), keepdims=True)  # (b, 1, 1, c)
    norm = ops.where(energy > 0, ops.sqrt(ops.where(energy > 0, energy, 1.0)), 0.0)
    share = norm / (ops.mean(norm, axis=-1, keepdims=True) + epsilon)
    scale = 1 + ops.cast(gamma, precise.dtype) * share
    return ops.cast(precise * scale + ops.cast(beta, precise.dtype), x.dtype)


def resized(x, like):
    """Resize the pixels of `x: (b, ..., c)` to the sizes of `like: (b, ..., d)` by linear interpolation.

    Pixels are areas: the edges of both images are aligned, not the centres of their corners. Computed in
    float32 or better.
    """
    y = ops.cast(x, backend.result_type(x.dtype, "float32"))
    for axis in range(1, len(x.shape) - 1):
        y = _resized_along(y, axis, ops.shape(x)[axis], ops.shape(like)[axis])
    return ops.cast(y, x.dtype)


def _resized_along(x, axis, before, after):
    """Resize one axis of `x` from the size `before` to the size `after`, which may be unknown in a graph."""
    pixels = ops.cast(ops.arange(0, after), x.dtype)
    last = ops.cast(ops.arange(0, before), x.dtype)[-1]
    place = (pixels + 0.5) * ((last + 1) / (pixels[-1] + 1)) - 0.5
    place = ops.minimum(ops.maximum(place, 0.0), last)
    pixels_before = ops.expand_dims(ops.arange(0, before), 1)
    shares = ops.relu(1 - ops.abs(place - ops.cast(pixels_before, x.dtype)))  # (before, after)
    end = len(x.shape) - 1
    return ops.swapaxes(ops.matmul(ops.swapaxes(x, axis, end), shares), axis, end)
