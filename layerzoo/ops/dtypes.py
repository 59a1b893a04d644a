"""Dtypes of inputs."""

from keras import backend, ops


def floating(x, dtype):
    """`x` in `dtype` if it holds integers or booleans, which Keras does not cast for a layer."""
    kind = backend.standardize_dtype(x.dtype)
    return ops.cast(x, dtype) if kind.startswith(("int", "uint", "bool")) else x


def at_least_float32(x):
    """`x` in float32, or in its own dtype if that is more precise."""
    return ops.cast(x, backend.result_type(x.dtype, "float32"))
