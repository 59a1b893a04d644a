"""Convolutions over time.

Axis letters: `b` batch, `t` steps, `k` steps of a kernel, `d` features.
"""

from keras import backend, ops

from layerzoo.ops.padding import padded


def depthwise(x, kernel, before=0):
    """Convolve each feature with a kernel of its own.

    Args:
        x: `(b, t + k - 1 - before, d)`.
        kernel: `(k, d)`.
        before: how many steps of zeros to put before `x`.

    Returns:
        `(b, t, d)`.
    """
    if backend.backend() == "jax":  # whose depthwise convolution takes forty times as long on a CPU
        return sum_of_shifts(padded(x, 1, before), kernel)
    t = ops.shape(x)[1] + before - (kernel.shape[0] - 1)
    more = 1 - min(t, 1) if isinstance(t, int) else 1  # no backend convolves to no steps
    x = padded(x, 1, before, after=more)
    kernel = ops.expand_dims(kernel, -1)
    y = ops.depthwise_conv(x, kernel, padding="valid", data_format="channels_last")
    return y[:, :t]


def sum_of_shifts(x, kernel):
    """The same as the sum of the steps `i` ahead, times the `i`-th step of the kernel."""
    size = kernel.shape[0]
    t = ops.shape(x)[1] - (size - 1)
    return sum(x[:, i : i + t] * kernel[i] for i in range(size))
