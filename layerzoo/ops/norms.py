"""Normalisation, of operations that every exporter can handle."""

import keras
from keras import backend, layers, ops

from layerzoo.ops.attention_torch import exporting


def normalized(norm, x):
    """`norm(x)`, where `norm` is a `LayerNormalization` or `RMSNormalization` of the last axis.

    On PyTorch, Keras computes these by kernels that are not exported if a size is unknown. In a file,
    the formula therefore takes their place.
    """
    if keras.utils.is_keras_tensor(x) or backend.backend() != "torch" or not exporting():
        return norm(x)
    precise = ops.cast(x, backend.result_type(x.dtype, "float32"))
    if isinstance(norm, layers.RMSNormalization):
        scale, offset = norm.scale, None
    else:
        precise = precise - ops.mean(precise, axis=-1, keepdims=True)
        scale, offset = norm.gamma, norm.beta
    square = ops.mean(ops.square(precise), axis=-1, keepdims=True)
    y = precise * ops.rsqrt(square + norm.epsilon)
    if scale is not None:
        y = y * ops.cast(scale, precise.dtype)
    if offset is not None:
        y = y + ops.cast(offset, precise.dtype)
    return ops.cast(y, norm.compute_dtype)


def modulated(x, scale, shift):
    """`x`, scaled by one more than `scale`, and shifted."""
    return x * (1 + scale) + shift


def standardized(x, epsilon):
    """`x` with a mean of 0 and a variance of 1 over its last axis, in float32 or better.

    Args:
        x: any tensor of floats.
        epsilon: added to the variance.
    """
    x = ops.cast(x, backend.result_type(x.dtype, "float32"))
    x = x - ops.mean(x, axis=-1, keepdims=True)
    return x * ops.rsqrt(ops.mean(ops.square(x), axis=-1, keepdims=True) + epsilon)


def rms_normed(x, epsilon):
    """`x` divided by its root mean square over the last axis. It comes in float32 or better."""
    return x * ops.rsqrt(ops.mean(ops.square(x), axis=-1, keepdims=True) + epsilon)


def gated_rms_norm(x, scale, gate, epsilon):
    """The RMS norm of the last axis of `x`, times `scale` and the SiLU of `gate`, in the dtype of `gate`.

    `x` comes in float32 or better, because a sum over many steps may be more than half precision can hold.
    """
    normed = rms_normed(x, epsilon) * ops.cast(scale, x.dtype)
    return ops.cast(normed * ops.silu(ops.cast(gate, x.dtype)), gate.dtype)
