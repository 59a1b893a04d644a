"""Checks for the arguments of a layer. Each error states the rule and what was received.

A check takes one argument by its name and returns what the layer keeps: numbers and booleans of NumPy become
Python's, so that a config can be written as JSON.
"""

from collections.abc import Callable
from math import isfinite
from numbers import Integral

import keras
import numpy as np
from keras import activations, initializers, layers

InitializerLike = str | dict | initializers.Initializer | Callable | None
"""What `keras.initializers.get` accepts: a name, a config, an initializer, a function or None."""

LARGEST = int(np.finfo("float64").max)


def is_integer(value) -> bool:
    """Whether a value is an integer of Python or NumPy, and no boolean."""
    return isinstance(value, Integral) and not isinstance(value, bool)


def is_number(value) -> bool:
    """Whether a value is a finite integer or float of Python or NumPy, and no boolean."""
    if is_integer(value):
        return abs(int(value)) <= LARGEST
    return isinstance(value, float | np.floating) and isfinite(value)


def positive_int(**argument) -> int:
    """The argument must be an integer of at least 1."""
    ((name, value),) = argument.items()
    if not is_integer(value) or value < 1:
        raise ValueError(f"`{name}` must be a positive integer. Received: {name}={value!r}")
    return int(value)


def non_negative_int(**argument) -> int:
    """The argument must be an integer of at least 0."""
    ((name, value),) = argument.items()
    if not is_integer(value) or value < 0:
        raise ValueError(f"`{name}` must be 0 or a positive integer. Received: {name}={value!r}")
    return int(value)


def several(**argument) -> int:
    """The argument must be an integer of at least 2."""
    ((name, value),) = argument.items()
    if not is_integer(value) or value < 2:
        raise ValueError(f"`{name}` must be an integer of at least 2. Received: {name}={value!r}")
    return int(value)


def optional_positive_int(**argument) -> int | None:
    """The argument must be None or an integer of at least 1."""
    ((_, value),) = argument.items()
    return None if value is None else positive_int(**argument)


def optional_seed(**argument) -> int | None:
    """The argument must be None or an integer that every backend takes as a seed."""
    ((name, value),) = argument.items()
    if value is None:
        return None
    if not is_integer(value) or not 0 <= value < 2**31:
        raise ValueError(
            f"`{name}` must be None or an integer from 0 to 2**31 - 1. Received: {name}={value!r}"
        )
    return int(value)


def boolean(**argument) -> bool:
    """The argument must be True or False."""
    ((name, value),) = argument.items()
    if not isinstance(value, bool | np.bool_):
        raise ValueError(f"`{name}` must be True or False. Received: {name}={value!r}")
    return bool(value)


def positive_number(**argument) -> float:
    """The argument must be a finite number above 0."""
    ((name, value),) = argument.items()
    if not is_number(value) or not value > 0:
        raise ValueError(f"`{name}` must be a positive number. Received: {name}={value!r}")
    return float(value)


def non_negative_number(**argument) -> float:
    """The argument must be a finite number of at least 0."""
    ((name, value),) = argument.items()
    if not is_number(value) or value < 0:
        raise ValueError(f"`{name}` must be 0 or a positive number. Received: {name}={value!r}")
    return float(value)


def optional_positive_number(**argument) -> float | None:
    """The argument must be None or a finite number above 0."""
    ((_, value),) = argument.items()
    return None if value is None else positive_number(**argument)


def optional_non_negative_number(**argument) -> float | None:
    """The argument must be None or a finite number of at least 0."""
    ((_, value),) = argument.items()
    return None if value is None else non_negative_number(**argument)


def number(**argument) -> float:
    """The argument must be a finite number."""
    ((name, value),) = argument.items()
    if not is_number(value):
        raise ValueError(f"`{name}` must be a finite number. Received: {name}={value!r}")
    return float(value)


def probability(**argument) -> float:
    """The argument must be a number from 0 to 1."""
    ((name, value),) = argument.items()
    if not is_number(value) or not 0 <= value <= 1:
        raise ValueError(f"`{name}` must be between 0 and 1. Received: {name}={value!r}")
    return float(value)


def one_of(options, **argument):
    """The argument must be one of the options."""
    ((name, value),) = argument.items()
    if not isinstance(value, str | None) or value not in options:
        raise ValueError(f"`{name}` must be one of {options}. Received: {name}={value!r}")
    return None if value is None else str(value)


def image_format(**argument) -> str:
    """The argument must be a data format, or None for Keras's global setting."""
    found = one_of((None, "channels_last", "channels_first"), **argument)
    return found or keras.config.image_data_format()


def optional_layer(**argument) -> layers.Layer | None:
    """The argument must be None or a Keras layer."""
    ((name, value),) = argument.items()
    if value is not None and not isinstance(value, layers.Layer):
        raise TypeError(f"`{name}` must be a Keras layer or None. Received: {name}={value!r}")
    return value


def initializer(**argument):
    """The argument must be what `keras.initializers.get` accepts. None is Keras's default, as in `Dense`."""
    ((name, value),) = argument.items()
    try:
        return initializers.get(value)
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"`{name}` must be the name or config of an initializer, an initializer, a function or None. "
            f"Received: {name}={value!r}"
        ) from error


def known_activation(**argument):
    """The argument must be what `keras.activations.get` accepts. None is the identity."""
    ((name, value),) = argument.items()
    try:
        return activations.get(value)
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"`{name}` must be the name or config of an activation, a function, a layer or None. "
            f"Received: {name}={value!r}"
        ) from error


def another(initializer):
    """An initializer like this one for another weight: one that is used twice gives equal weights."""
    return initializer.clone() if isinstance(initializer, initializers.Initializer) else initializer


def known_width(input_shape) -> int:
    """The size of the last axis, at least 1. A layer with weights must know it to build."""
    if not input_shape or input_shape[-1] is None:
        raise ValueError(
            f"The last axis of the inputs must have a known size. Received: input_shape={input_shape}"
        )
    if input_shape[-1] == 0:
        raise ValueError(
            f"The last axis of the inputs must not be empty. Received: input_shape={tuple(input_shape)}"
        )
    return input_shape[-1]


def known_heads(input_shape) -> int:
    """The size of the second axis, the heads, at least 1. A layer with one number per head must know it."""
    if not input_shape or len(input_shape) < 2 or input_shape[1] is None:
        raise ValueError(
            f"The axis of the heads must have a known size. Received: input_shape={input_shape}"
        )
    if input_shape[1] == 0:
        raise ValueError(
            f"The axis of the heads must not be empty. Received: input_shape={tuple(input_shape)}"
        )
    return input_shape[1]
