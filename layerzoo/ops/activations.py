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


def activated(activation, x):
    """`activation(x)` in the dtype of `x`; Keras's `"gelu"` of operations that every exporter can handle."""
    return ops.cast(gelu(x) if activation is activations.gelu else activation(x), x.dtype)
