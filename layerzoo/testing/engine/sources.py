"""The arguments of a layer as Python code that makes them again."""

import inspect
from typing import Any

import keras
import numpy as np

from layerzoo.catalogue import Config
from layerzoo.tensors import compat

KINDS = {
    "activation": keras.activations,
    "constraint": keras.constraints,
    "initializer": keras.initializers,
    "regularizer": keras.regularizers,
}
"""Keras's modules, by the last word of the argument names that take a name, dict or object from them."""

KERAS = (*KINDS.values(), keras.dtype_policies, keras.layers)
"""The public modules of Keras that hold what a layer can receive."""


def same(a: Any, b: Any) -> bool:
    """Whether two arguments are equal; False if they cannot be compared."""
    try:
        return bool(a == b)
    except Exception:  # if the comparison raises, they are not the same
        return False


def kinds_of(layer: type, config: Config) -> dict[str, str]:
    """The kind of each argument, by name, that takes what one of Keras's `get` functions takes.

    The last word of its name gives the kind, if `get` accepts its value in the config, or its default.
    """
    kinds = {}
    for name, parameter in compat.own_parameters(layer).items():
        kind = name.rsplit("_", 1)[-1]
        try:
            KINDS[kind].get(config.get(name, parameter.default))
        except Exception:  # another kind of argument, or one that takes something of its own
            continue
        kinds[name] = kind
    return kinds


def _public(value) -> str:
    """The public name of a class or function of Keras, as in `keras.layers.Dense`, or an empty string."""
    name = getattr(value, "__name__", "")
    homes = [home for home in KERAS if getattr(home, name, None) is value]
    return f"{homes[0].__name__}.{name}" if homes else ""


def import_line(value: Any) -> str:
    """The line that imports a class or function."""
    if value.__module__ == "__main__":
        return f"# put your {value.__qualname__} here"
    home = "keras.layers" if _public(value) else value.__module__
    return f"from {home} import {value.__qualname__.split('.')[0]}"


def source(value: Any) -> str:
    """An argument as Python code; anything not from Keras has the name that `imports` imports."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key!r}: {source(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return f"[{', '.join(map(source, value))}]"
    if isinstance(value, tuple):
        return f"({', '.join(map(source, value))}{',' if len(value) == 1 else ''})"
    if isinstance(value, float) and not np.isfinite(value):
        return f'float("{value}")'
    if isinstance(value, np.ndarray):
        return f'np.array({value.tolist()}, "{value.dtype}")'
    if inspect.isfunction(value) or inspect.isclass(value):
        return _public(value) or value.__qualname__
    if not hasattr(value, "get_config"):
        return repr(value)
    kind = type(value)
    parameters = inspect.signature(kind.__init__).parameters
    inside = ", ".join(
        f"{name}={source(each)}"
        for name, each in _made_of(value).items()
        if name not in parameters or not is_default(name, each, parameters[name].default)
    )
    return f"{_public(kind) or kind.__qualname__}({inside})"


def _made_of(value) -> Config:
    """The arguments that a layer or another Keras object was made with."""
    if isinstance(value, keras.layers.Layer):
        return {k: compat.made_anew(v) for k, v in compat.constructor_arguments(value).items()}
    return value.get_config()


def imports(value: Any) -> set[str]:
    """The lines that import what `source` names and Keras does not export."""
    if isinstance(value, dict):
        return {line for each in value.values() for line in imports(each)}
    if isinstance(value, list | tuple):
        return {line for each in value for line in imports(each)}
    if inspect.isfunction(value) or inspect.isclass(value):
        return set() if _public(value) else {import_line(value)}
    if not hasattr(value, "get_config"):
        return set()
    own = set() if _public(type(value)) else {import_line(type(value))}
    return own | imports(_made_of(value))


def is_default(name: str, value: Any, default: Any) -> bool:
    """Whether an argument is its default; the config may hold the object and the default only its name."""
    if same(value, default):
        return True
    home = KINDS.get(name.rsplit("_", 1)[-1])
    if home is None or default is inspect.Parameter.empty:
        return False
    try:
        return same(home.serialize(home.get(value)), home.serialize(home.get(default)))
    except Exception:  # not known to Keras, so it is not the default
        return False
