"""Activations, of operations that every exporter can handle."""

import keras
from keras import activations, backend, ops


def gelu(x):
    """The exact GELU, `x (1 + erf(x / sqrt(2))) / 2`.

    TensorFlow computes `ops.gelu` by `erfc`, which no runtime for ONNX has. JAX exports `ops.erf` as what no
    TensorFlow can read.
    """
    if keras.utils.is_keras_tensor(x) or backend.backend() != "tensorflow":  # also for drawings
        return ops.gelu(x, approximate=False)
    return 0.5 * x * (1 + ops.erf(x * 0.5**0.5))


def exportable(activation):
    """An activation; in place of Keras's `"gelu"` one of operations that every exporter can handle."""
    return gelu if activation is activations.gelu else activation


def activated(activation, x):
    """`exportable(activation)` of `x`, in the dtype of `x`."""
    return ops.cast(exportable(activation)(x), x.dtype)
