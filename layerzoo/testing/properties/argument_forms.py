"""The forms in which a layer can receive an activation, initializer, regularizer or constraint."""

import json
from typing import Any

import keras

from layerzoo.tensors import compat
from layerzoo.testing.engine.sources import KINDS

register = keras.saving.register_keras_serializable(package="layerzoo.testing")


@register
def damped(x: Any) -> Any:
    """An activation that Keras does not know."""
    return 0.5 * x


@register
class Filled(keras.initializers.Initializer):
    """An initializer that Keras does not know: one value everywhere."""

    def __init__(self, value: float = 0.3):
        self.value = value

    def __call__(self, shape: tuple[int, ...], dtype: Any = None, **kwargs: Any) -> Any:
        """A tensor filled with the value."""
        return keras.ops.full(shape, self.value, dtype=dtype)

    def get_config(self) -> dict[str, float]:
        """The value."""
        return {"value": self.value}


@register
class Weighed(keras.regularizers.Regularizer):
    """A regularizer that Keras does not know: the sum of squares times a factor."""

    def __init__(self, factor: float = 0.01):
        self.factor = factor

    def __call__(self, x: Any) -> Any:
        """The loss."""
        return self.factor * keras.ops.sum(keras.ops.square(x))

    def get_config(self) -> dict[str, float]:
        """The factor."""
        return {"factor": self.factor}


@register
class Clipped(keras.constraints.Constraint):
    """A constraint that Keras does not know: it clips values to a limit."""

    def __init__(self, limit: float = 2.0):
        self.limit = limit

    def __call__(self, w: Any) -> Any:
        """The weight, clipped to the limit."""
        return keras.ops.clip(w, -self.limit, self.limit)

    def get_config(self) -> dict[str, float]:
        """The limit."""
        return {"limit": self.limit}


NAMES = {"activation": "tanh", "constraint": "non_neg", "initializer": "ones", "regularizer": "l2"}
"""For each kind of argument, a name that Keras knows."""

CUSTOM = {
    "activation": lambda: damped,
    "constraint": lambda: Clipped(1.5),
    "initializer": lambda: Filled(0.7),
    "regularizer": lambda: Weighed(0.02),
}
"""Objects that Keras does not know, each with a setting that is not its default."""


def known(kind: str) -> Any:
    """The object that Keras's name in `NAMES` stands for."""
    return KINDS[kind].get(NAMES[kind])


def forms(layer: type, kinds: dict[str, str]) -> dict[str, dict[str, Any]]:
    """The arguments in each form that they accept, as new objects."""
    defaults = compat.own_parameters(layer)
    activations = [name for name, kind in kinds.items() if kind == "activation"]
    serialized = keras.saving.serialize_keras_object
    return {
        "an object": {name: known(kind) for name, kind in kinds.items()},
        "a name": {name: NAMES[kind] for name, kind in kinds.items()},
        "a dict": {name: serialized(known(kind)) for name, kind in kinds.items()},
        "an object that Keras does not know": {n: CUSTOM[kind]() for n, kind in kinds.items()},
        "None, the default": {name: None for name in kinds if defaults[name].default is None},
        "a layer": {name: keras.layers.LeakyReLU(negative_slope=0.25) for name in activations},
    }


def written(kind: str, value: Any) -> str:
    """An argument as text that does not depend on the form in which it was given."""
    module = KINDS[kind]
    return json.dumps(module.serialize(module.get(value)), sort_keys=True)
