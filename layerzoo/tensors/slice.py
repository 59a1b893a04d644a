"""A layer as a scalar function of everything that it can be differentiated by."""

import copy
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from layerzoo.tensors import autodiff, compat, tracing
from layerzoo.tensors.outcomes import NotApplicable


class Slice:
    """A layer as a scalar function of its leaves: its float inputs and trainable weights.

    The scalar is the sum of the outputs times fixed random cotangents. Other inputs and other variables,
    including random seeds, stay constant. With `losses`, the losses that the call adds are part of the sum.

    Attributes:
        inputs: The paths of the float inputs.
        names: A name for each leaf: first the inputs, then the weights.
        leaves: The leaves as NumPy arrays.
        scalar: The function. It takes the leaves as tensors, and optionally other cotangents.
        cotangents: One array for each float output, after the function was first called or traced. Empty for
            a derivative.
    """

    def __init__(
        self,
        layer,
        arrays,
        seed,
        dtype="float32",
        training=False,
        function=None,
        losses=False,
        **arguments,
    ):
        self.inputs = [path for path, a in arrays.items() if np.issubdtype(a.dtype, np.floating)]
        self.names = [*self.inputs, *(w.path.split("/", 1)[-1] for w in layer.trainable_weights)]
        weights = [compat.array(w).astype(dtype) for w in layer.trainable_weights]
        self.leaves = [*(arrays[path].astype(dtype) for path in self.inputs), *weights]
        if not self.leaves:
            raise NotApplicable("there is neither a float input nor a weight that trains")
        self.cotangents: list[np.ndarray] = []
        index = {id(variable): i for i, variable in enumerate(layer.variables)}
        places = [index[id(weight)] for weight in layer.trainable_weights]
        rest = compat.values(layer)
        inputs = len(self.inputs)
        function = function or (
            lambda given: compat.call(layer, given, training=training, **arguments)
        )

        def scalar(leaves, cotangents=None):
            values = list(rest)
            for place, leaf in zip(places, leaves[inputs:], strict=True):
                values[place] = leaf
            moved = dict(zip(self.inputs, leaves[:inputs], strict=True))
            given = {path: moved.get(path, compat.tensor(a)) for path, a in arrays.items()}
            with compat.given_values(layer, values) as scope:
                outputs = function(given)
            outputs = [y for y in keras.tree.flatten(outputs) if "float" in str(y.dtype)]
            if not outputs:
                raise NotApplicable("no output is a float")
            if not self.cotangents:
                generator = np.random.default_rng([seed, 31])
                self.cotangents += [
                    (generator.normal(size=y.shape) / max(1, np.prod(y.shape)) ** 0.5).astype(dtype)
                    for y in outputs
                ]
            cotangents = cotangents or [compat.tensor(u) for u in self.cotangents]
            terms = [
                keras.ops.sum(keras.ops.cast(y, dtype) * u)
                for y, u in zip(outputs, cotangents, strict=True)
            ]
            terms += [keras.ops.cast(loss, dtype) for loss in scope.losses if losses]
            return sum(terms[1:], terms[0])

        self._set(scalar)

    def _set(self, scalar) -> None:
        self.scalar = scalar
        self._value = tracing.quick(scalar)
        self._gradient = autodiff.gradient(scalar)

    def value(self, leaves: Sequence[Any]) -> float:
        """The scalar for these leaves."""
        return float(compat.array(self._value([compat.tensor(leaf) for leaf in leaves])))

    def gradient(self, leaves: Sequence[Any]) -> list[np.ndarray]:
        """The gradient with respect to each leaf; zeros if the scalar does not depend on it."""
        return self._gradient([compat.tensor(leaf) for leaf in leaves])

    def slope(self, directions: Sequence[Any]) -> "Slice":
        """The derivative of the scalar along these directions, as a function of the leaves."""
        other = copy.copy(self)
        other.cotangents = []
        other._set(autodiff.slope(self.scalar, [compat.tensor(d) for d in directions]))
        return other

    def training_step(self, jit: bool = False) -> Callable[[], object]:
        """A traced step that computes the gradient at the leaves and waits for the result, for timing.

        With `jit`, TensorFlow compiles it with XLA, as JAX always does. PyTorch runs it as it is.
        """
        return autodiff.training_step(self.scalar, self.leaves, jit)

    def leaves_at(self, arrays: dict[str, np.ndarray]) -> list[np.ndarray]:
        """The leaves with other inputs of the same shapes."""
        return [*(arrays[path] for path in self.inputs), *self.leaves[len(self.inputs) :]]
