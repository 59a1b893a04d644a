"""Checks for the arguments of a layer. Each error states the rule and what was received."""

from numbers import Integral, Real

from keras import initializers, layers

InitializerLike = str | dict | initializers.Initializer
"""What `keras.initializers.get` accepts: a name, a config or an initializer."""


def positive_int(**arguments) -> None:
    """Each argument must be an integer of at least 1."""
    for name, value in arguments.items():
        if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
            raise ValueError(f"`{name}` must be a positive integer. Received: {name}={value!r}")


def optional_positive_int(**arguments) -> None:
    """Each argument must be None or an integer of at least 1."""
    positive_int(**{name: value for name, value in arguments.items() if value is not None})


def positive_number(**arguments) -> None:
    """Each argument must be a finite number above 0."""
    for name, value in arguments.items():
        number = isinstance(value, Real) and not isinstance(value, bool)
        if not number or not 0 < float(value) < float("inf"):
            raise ValueError(f"`{name}` must be a positive number. Received: {name}={value!r}")


def optional_non_negative_number(**arguments) -> None:
    """Each argument must be None or a finite number of at least 0."""
    for name, value in arguments.items():
        number = isinstance(value, Real) and not isinstance(value, bool)
        if value is not None and not (number and 0 <= float(value) < float("inf")):
            raise ValueError(f"`{name}` must be 0 or a positive number. Received: {name}={value!r}")


def probability(**arguments) -> None:
    """Each argument must be a number from 0 to 1."""
    for name, value in arguments.items():
        if isinstance(value, bool) or not isinstance(value, Real) or not 0 <= float(value) <= 1:
            raise ValueError(f"`{name}` must be between 0 and 1. Received: {name}={value!r}")


def one_of(options, **arguments) -> None:
    """Each argument must be one of the options."""
    for name, value in arguments.items():
        if value not in options:
            raise ValueError(f"`{name}` must be one of {options}. Received: {name}={value!r}")


def optional_layer(**arguments) -> None:
    """Each argument must be None or a Keras layer."""
    for name, value in arguments.items():
        if value is not None and not isinstance(value, layers.Layer):
            raise TypeError(f"`{name}` must be a Keras layer or None. Received: {name}={value!r}")


def known_width(input_shape) -> int:
    """The size of the last axis. A layer with weights must know it to build."""
    if not input_shape or input_shape[-1] is None:
        raise ValueError(
            f"The last axis of the inputs must have a known size. Received: input_shape={input_shape}"
        )
    return input_shape[-1]


def known_heads(input_shape) -> int:
    """The size of the second axis, the heads. A layer with one number per head must know it to build."""
    if not input_shape or len(input_shape) < 2 or input_shape[1] is None:
        raise ValueError(
            f"The axis of the heads must have a known size. Received: input_shape={input_shape}"
        )
    return input_shape[1]
