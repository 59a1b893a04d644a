"""A layer under each backend's compiler: traced, compiled and exported."""

import contextlib
import io
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import keras
import numpy as np

from layerzoo.tensors.compat import BACKEND, array, call, evaluate, tensor, values
from layerzoo.tensors.outcomes import NotApplicable
from layerzoo.tensors.quick import optimized


def quick(function: Callable) -> Callable:
    """The same function for many calls with one signature, traced if tracing is worth it."""
    if BACKEND == "tensorflow":
        return tensorflow_traced(function)
    if BACKEND == "jax":
        import jax

        return jax.jit(function)
    return function


def tensorflow_traced(function: Callable, **how) -> Any:
    """The function as a graph without AutoGraph, as in Keras's own training."""
    import tensorflow as tf

    return tf.function(function, autograph=False, **how)


def compiled(layer: keras.layers.Layer, inputs: dict, **arguments) -> Callable:
    """A compiled function without arguments that calls the layer; its state carries over between calls.

    On PyTorch this is `torch.compile` with the eager backend, because only tracing is checked.
    """
    inputs = {name: tensor(x) for name, x in inputs.items()}
    if BACKEND == "torch":
        import torch

        torch.compiler.reset()
        traced = torch.compile(lambda: call(layer, inputs, **arguments), backend="eager")

        def quietly():
            with warnings.catch_warnings():  # the tracer's remarks on Keras's own functions
                warnings.simplefilter("ignore")
                return traced()

        return quietly

    step = _step(layer, list(inputs), arguments)
    if BACKEND == "tensorflow":
        step = tensorflow_traced(step, jit_compile=True)
    else:
        import jax

        step = jax.jit(step)
    state = values(layer)

    def run():
        nonlocal state
        with optimized(True):  # as a user's own
            outputs, state = step(state, inputs)
        return outputs

    return run


def _step(layer, names: list[str], arguments: dict) -> Callable:
    """A call as a function of the variables' values and the inputs, which also returns the new values."""

    def step(state, given):
        given = {name: given[name] for name in names}  # a JAX trace sorts a dict
        mapping = list(zip(layer.variables, state, strict=True))
        with keras.StatelessScope(state_mapping=mapping) as scope:
            outputs = call(layer, given, **arguments)
        return outputs, [scope.get_current_value(variable) for variable in layer.variables]

    return step


def trace(layer: keras.layers.Layer, inputs: dict, **arguments) -> None:
    """Run the layer's Python once under the backend's tracer, or on PyTorch with a graph."""
    inputs = {name: tensor(x) for name, x in inputs.items()}
    if BACKEND == "torch":  # any call makes a graph
        call(layer, inputs, **arguments)
        return
    state = values(layer)
    names = list(inputs)

    def function(state, given):
        given = {name: given[name] for name in names}  # a JAX trace sorts a dict
        return evaluate(layer, state, given, **arguments)

    if BACKEND == "tensorflow":
        tensorflow_traced(function).get_concrete_function(state, inputs)
    elif BACKEND == "jax":
        import jax

        jax.make_jaxpr(function)(state, inputs)


def traced_calls(
    layer: keras.layers.Layer, batches: list[dict], any_batch: bool, **arguments: Any
) -> tuple[list, list[int]]:
    """Call a traced layer with one batch of inputs after another.

    Args:
        layer: The layer.
        batches: The input arrays by path, for each call.
        any_batch: Whether TensorFlow gets a signature with an unknown batch size.
        **arguments: Other arguments of the call.

    Returns:
        The outputs of each call, and the number of traces so far.
    """
    if BACKEND == "torch":
        return _torch_traced_calls(layer, batches, **arguments)
    names = list(batches[0])
    traces: list = []
    traced: Any
    step = _step(layer, names, arguments)

    def counted(state, given):
        traces.append(None)  # JAX counts only what is in its fast path, which can be wrong
        return step(state, given)

    state = values(layer)
    if BACKEND == "tensorflow":
        import tensorflow as tf

        batch = () if any_batch else batches[0][names[0]].shape[:1]
        given = {
            name: tf.TensorSpec((*(batch or (None,)), *a.shape[1:]), a.dtype)
            for name, a in batches[0].items()
        }
        signature = [[tf.TensorSpec(v.shape, v.dtype) for v in state], given]
        traced = tensorflow_traced(counted, input_signature=signature)
    else:
        import jax

        traced = jax.jit(counted)
    found, counts = [], []
    for arrays in batches:
        outputs, state = traced(state, {name: tensor(a) for name, a in arrays.items()})
        found.append([array(y) for y in keras.tree.flatten(outputs)])
        counts.append(len(traces))
    return found, counts


def calls(layer: keras.layers.Layer, names: list[str], **settings: Any) -> Callable:
    """`compat.call` of a layer with fixed settings. On JAX it is compiled, because op by op it takes longer.

    Args:
        layer: The layer, whose variables keep their values.
        names: The paths of its inputs, in order.
        **settings: Arguments that are the same in each call, such as `training`.
    """
    if BACKEND != "jax":
        return partial(call, layer, **settings)
    import jax

    def evaluated(variables, given, carried, arguments):
        given = {name: given[name] for name in names if name in given}  # a JAX trace sorts a dict
        return evaluate(layer, variables, given, carried=carried, **settings, **arguments)

    traced, variables = jax.jit(evaluated), values(layer)

    def run(given, carried, **arguments):
        return traced(variables, given, carried, arguments)

    return run


def traced_steps(
    layer: keras.layers.Layer, parts: list[dict], state: Any, **arguments: Any
) -> tuple[list, list[int]]:
    """Call a traced layer with one part of a sequence after another, each from the state of the one before.

    Args:
        layer: The layer.
        parts: The input arrays by path, for each call.
        state: The state to start from.
        **arguments: Other arguments of the call.

    Returns:
        The outputs of each call, and the number of traces so far.
    """
    traces: list = []
    traced: Any
    names, variables = list(parts[0]), values(layer)
    alone: contextlib.AbstractContextManager = contextlib.nullcontext()

    def counted(given, state):
        traces.append(None)
        given = {name: given[name] for name in names if name in given}  # a JAX trace sorts a dict
        how = dict(initial_state=state, return_state=True, **arguments)
        return evaluate(layer, variables, given, **how)

    if BACKEND == "torch":
        import torch

        torch.compiler.reset()

        def counting(graph, _):
            traces.append(graph)
            return graph.forward

        def stepped(given, state):
            return call(layer, given, initial_state=state, return_state=True, **arguments)

        traced = torch.compile(stepped, backend=counting)
        alone = torch.no_grad()  # as steps are made, so that no state has a gradient
    elif BACKEND == "tensorflow":
        traced = tensorflow_traced(counted)
    else:
        import jax

        traced = jax.jit(counted)
    found, counts = [], []
    with warnings.catch_warnings(), alone:
        warnings.simplefilter("ignore")  # the tracer's remarks on Keras's own functions
        for arrays in parts:
            outputs, state = traced({name: tensor(a) for name, a in arrays.items()}, state)
            found.append([array(y) for y in keras.tree.flatten(outputs)])
            counts.append(len(traces))
    return found, counts


def _torch_traced_calls(layer, batches, **arguments):
    import torch

    torch.compiler.reset()
    graphs: list = []

    def counting(graph, _):
        graphs.append(graph)
        return graph.forward

    traced = torch.compile(lambda given: call(layer, given, **arguments), backend=counting)
    found, counts = [], []
    with warnings.catch_warnings():  # the tracer's remarks on Keras's own functions
        warnings.simplefilter("ignore")
        for arrays in batches:
            outputs = traced({name: tensor(a) for name, a in arrays.items()})
            found.append([array(y) for y in keras.tree.flatten(outputs)])
            counts.append(len(graphs))
    return found, counts


def exported(model: keras.Model, feed: Any, folder: str, any_batch: bool) -> Callable:
    """A model exported to a folder and loaded again: a function of NumPy inputs.

    Raises:
        NotApplicable: on JAX, `model.export` needs TensorFlow, which is not installed; or on PyTorch,
            inference changes a variable.
    """
    path = f"{folder}/model"
    # the exporters warn about Keras's own functions, and PyTorch prints a graph that it refuses
    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        how = {}
        if not any_batch:
            spec = keras.tree.map_structure(lambda a: keras.InputSpec(str(a.dtype), a.shape), feed)
            how = dict(input_signature=[spec])
        if BACKEND == "torch":
            import torch

            if any_batch:
                free = keras.tree.map_structure(lambda _: {0: torch.export.Dim.DYNAMIC}, feed)
                how = dict(dynamic_shapes=[(free,)])
            model.export(f"{path}.pt2", format="torch", verbose=False, **how)
            try:
                loaded = torch.export.load(f"{path}.pt2").module()
            except Exception as error:
                if "wrap_with_set_grad_enabled" not in str(error):
                    raise
                raise NotApplicable(
                    "PyTorch cannot load an exported program in which Keras assigns to a variable"
                ) from None
            return lambda feed: loaded(keras.tree.map_structure(tensor, feed))
        try:
            import tensorflow as tf
        except ImportError:
            raise NotApplicable(
                f"`model.export` on {BACKEND} needs TensorFlow, which is not installed"
            ) from None
        model.export(path, format="tf_saved_model", verbose=False, **how)
        loaded = tf.saved_model.load(path)
    return lambda feed: loaded.serve(keras.tree.map_structure(tf.constant, feed))


def foreign_array(x: Any) -> np.ndarray:
    """A tensor of an exported model as a NumPy array; on JAX it is a TensorFlow tensor."""
    return x.numpy() if hasattr(x, "numpy") and BACKEND != "torch" else array(x)


def is_traced(x: Any) -> bool:
    """Whether `x` belongs to a trace, or on PyTorch to a graph, and keeps it alive."""
    if BACKEND == "tensorflow":
        import tensorflow as tf

        return tf.is_tensor(x) and not hasattr(x, "numpy") and not isinstance(x, tf.Variable)
    if BACKEND == "jax":
        import jax

        return isinstance(x, jax.core.Tracer)
    import torch

    return torch.is_tensor(x) and x.grad_fn is not None
