"""What the tests of the blocks of images share: convolutions and norms in NumPy, and built layers."""

import itertools

import numpy as np
from keras import ops

ACTIVATIONS = {
    "relu": lambda z: np.maximum(z, 0),
    "relu6": lambda z: np.clip(z, 0, 6),
    "silu": lambda z: z / (1 + np.exp(-z)),
    "tanh": np.tanh,
}


def turned(x, data_format):
    """Images with the channels last in the given data format."""
    return x if data_format == "channels_last" else np.moveaxis(x, -1, 1).copy()


def turned_back(y, data_format):
    """Images of the given data format with the channels last."""
    y = ops.convert_to_numpy(y)
    return y if data_format == "channels_last" else np.moveaxis(y, 1, -1)


def places(size, length, stride):
    """Where the windows start, with Keras's padding `"same"`: what is odd is padded at the end."""
    count = -(-size // stride)
    padding = max((count - 1) * stride + length - size, 0)
    return [i * stride - padding // 2 for i in range(count)]


def convolve(x, kernel, stride=1, groups=1):
    """A convolution pixel by pixel, in float64; outside of the image is zero."""
    batch, height, width, channels = x.shape
    size, own, given = kernel.shape[0], channels // groups, kernel.shape[-1] // groups
    rows, columns = places(height, size, stride), places(width, size, stride)
    y = np.zeros((batch, len(rows), len(columns), kernel.shape[-1]))
    for (r, top), (c, left) in itertools.product(enumerate(rows), enumerate(columns)):
        for i, j in np.ndindex(size, size):
            if not (0 <= top + i < height and 0 <= left + j < width):
                continue
            pixel = x[:, top + i, left + j].astype("float64")
            for g in range(groups):
                out = slice(g * given, (g + 1) * given)
                y[:, r, c, out] += pixel[:, g * own : (g + 1) * own] @ kernel[i, j, :, out]
    return y


def convolve_each(x, kernel, stride=1):
    """A depthwise convolution: each channel by its own kernel, `(k, k, c, 1)`."""
    return convolve(x, np.moveaxis(kernel, 3, 2), stride, groups=x.shape[-1])


def normalise(x, weights, name, epsilon, training=False):
    """Batch normalisation by the moving statistics, or in training by those of the batch."""
    mean, variance = weights[f"{name}/moving_mean"], weights[f"{name}/moving_variance"]
    if training:
        mean, variance = x.mean(axis=(0, 1, 2)), x.var(axis=(0, 1, 2))
    normal = (x - mean) / np.sqrt(variance + epsilon)
    return weights[f"{name}/gamma"] * normal + weights[f"{name}/beta"]


def excite(x, weights, activation):
    """Squeeze-and-excitation: each channel times a gate computed from the means."""

    def dense(name, z):
        return z @ weights[f"excite/{name}/kernel"] + weights[f"excite/{name}/bias"]

    hidden = activation(dense("reduce", x.mean(axis=(1, 2))))
    return x / (1 + np.exp(-dense("expand", hidden)))[:, None, None]


def built(randomise, layer, channels, seed=0):
    """A layer built for images of so many channels, and its random weights by path."""
    shape = (None, None, None, channels)
    layer.build(shape if layer.data_format == "channels_last" else (None, channels, None, None))
    return layer, randomise(layer, seed)
