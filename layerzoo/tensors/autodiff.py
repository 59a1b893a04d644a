"""Derivatives by each backend's own rules: reverse mode, forward mode, second order, and compiled."""

import warnings
from collections.abc import Callable

import keras
import numpy as np

from layerzoo.tensors.compat import BACKEND, array, tensor
from layerzoo.tensors.outcomes import NotApplicable
from layerzoo.tensors.quick import optimized
from layerzoo.tensors.tracing import quick, tensorflow_traced


def gradient(function: Callable) -> Callable:
    """The gradient of a scalar function of a list of tensors, as NumPy arrays; zeros if independent."""
    if BACKEND == "tensorflow":
        find = _tensorflow_gradient
    elif BACKEND == "torch":
        find = _torch_gradient
    else:
        import jax

        differentiated = jax.jit(jax.grad(function))

        def find(function, tensors):
            return differentiated(tensors)

    def found(tensors) -> list[np.ndarray]:
        return _dense(find(function, tensors), tensors)

    return found


def slope(function: Callable, directions: list) -> Callable:
    """The derivative of a scalar function along some directions, in reverse mode; it is differentiable."""

    def along(tensors):
        if BACKEND == "tensorflow":
            found = _tensorflow_gradient(function, tensors)
        elif BACKEND == "torch":
            found = _torch_gradient(function, tensors, create_graph=True)
        else:
            import jax

            found = jax.grad(function)(tensors)
        terms = [
            keras.ops.sum(g * d) for g, d in zip(found, directions, strict=True) if g is not None
        ]
        return sum(terms) if terms else keras.ops.zeros((), directions[0].dtype)

    return along


def forward(function: Callable, tensors: list, directions: list) -> float:
    """The derivative of a scalar function along some directions, in forward mode.

    Raises:
        NotApplicable: the backend has no forward rule for an operation in it.
    """

    def jvp(at, along):
        return keras.ops.jvp(lambda *leaves: function(list(leaves)), at, along)[1]

    try:
        found = (quick(jvp) if BACKEND == "jax" else jvp)(tuple(tensors), tuple(directions))
    except (
        TypeError,
        LookupError,
        RuntimeError,
    ) as error:  # a NotImplementedError is a RuntimeError
        said = str(error)
        words = (
            "forward-mode differentiation",
            "forward-mode autodiff",
            "forward AD",
            "implement the jvp",
            "no entry for",
            "setup_context",  # a custom gradient by Keras, for which PyTorch has only reverse mode
        )
        if not any(word in said for word in words):
            raise
        raise NotApplicable(
            f"{BACKEND} has no forward rule for an operation in the layer: {said.splitlines()[0]}"
        ) from None
    return 0.0 if found is None else float(array(found))


def compiled_gradient(function: Callable, tensors: list) -> list[np.ndarray]:
    """The compiled gradient of a scalar function of tensors.

    On PyTorch this is `torch.compile` with a backend that traces the backward pass but compiles nothing.
    """
    if BACKEND == "tensorflow":
        traced = tensorflow_traced(
            lambda tensors: _tensorflow_gradient(function, tensors), jit_compile=True
        )
        return _dense(traced(tensors), tensors)
    if BACKEND == "jax":
        with optimized(True):  # as a user's own
            return gradient(function)(tensors)
    import torch

    torch.compiler.reset()
    with warnings.catch_warnings():  # the tracer warns about Keras's own functions
        warnings.simplefilter("ignore")
        return _dense(
            _torch_gradient(torch.compile(function, backend="aot_eager"), tensors), tensors
        )


def eager_gradient(function: Callable, tensors: list) -> list[np.ndarray]:
    """The gradient of a scalar function of tensors, operation by operation."""
    if BACKEND != "jax":
        return gradient(function)(tensors)
    import jax

    return _dense(jax.grad(function)(tensors), tensors)


def _dense(gradients, tensors) -> list[np.ndarray]:
    return [
        np.zeros(tuple(x.shape)) if g is None else np.asarray(array(g))
        for g, x in zip(gradients, tensors, strict=True)
    ]


def training_step(
    function: Callable, leaves: list[np.ndarray], jit: bool = False
) -> Callable[[], object]:
    """A traced computation of value and gradient that returns when both are done, for timing.

    The value is included because without it a compiler skips the forward half of a linear layer.
    """
    tensors = [tensor(leaf) for leaf in leaves]
    if BACKEND == "tensorflow":
        traced = tensorflow_traced(
            lambda tensors: _tensorflow_value_and_gradient(function, tensors), jit_compile=jit
        )
        return lambda: traced(tensors)[0].numpy()
    if BACKEND == "jax":
        import jax

        differentiated = jax.jit(jax.value_and_grad(function))
        return lambda: jax.block_until_ready(differentiated(tensors))
    return lambda: _torch_gradient(function, tensors)


def _tensorflow_gradient(function, tensors):
    return _tensorflow_value_and_gradient(function, tensors)[1]


def _tensorflow_value_and_gradient(function, tensors):
    import tensorflow as tf

    with tf.GradientTape() as tape:
        tape.watch(tensors)
        value = function(tensors)
    found = tape.gradient(value, tensors)
    return value, [None if g is None else tf.convert_to_tensor(g) for g in found]


def _torch_gradient(function, tensors, create_graph=False):
    import torch

    tensors = [each.requires_grad_() for each in tensors]
    value = function(tensors)
    if not value.requires_grad:
        return [None] * len(tensors)
    return torch.autograd.grad(value, tensors, allow_unused=True, create_graph=create_graph)
