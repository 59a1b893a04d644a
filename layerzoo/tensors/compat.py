"""Private parts of Keras, and tensors of any backend; the rest of the kit uses only public Keras.

Compilers are in `tracing`, derivatives in `autodiff`.

If this Keras lacks a private part, the function that needs it raises `Inconclusive` and names it.
"""

import collections
import contextlib
import copy
import functools
import gc
import importlib
import inspect
import logging
import operator
import random
import traceback
import warnings
import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from layerzoo.tensors import quick
from layerzoo.tensors.outcomes import Inconclusive

BACKEND = keras.backend.backend()


def array(x: Any) -> np.ndarray:
    """A tensor as a NumPy array; half precision becomes float32, in which NumPy can compute."""
    x = keras.ops.convert_to_numpy(x)
    return x.astype("float32") if x.dtype.name in ("bfloat16", "float16") else x


def flat(outputs: Any) -> list[np.ndarray]:
    """Nested outputs as a flat list of NumPy arrays."""
    return [array(leaf) for leaf in keras.tree.flatten(outputs)]


def tensor(x: np.ndarray) -> Any:
    """A NumPy array as a tensor of the same dtype, even if Keras would narrow it."""
    if BACKEND == "tensorflow":
        import tensorflow as tf

        return tf.convert_to_tensor(x)
    if BACKEND == "jax":
        import jax

        return jax.device_put(x)  # `jnp.asarray` compiles an identity for each shape
    import torch

    return torch.tensor(x)  # a copy: `from_numpy` would share the caller's memory


def handed(layer: keras.layers.Layer, arrays: dict[str, np.ndarray]) -> dict:
    """Copies of a caller's arrays. On JAX they are tensors, because Keras compiles how it makes these.

    They stay arrays for a layer that looks at them before Keras makes tensors, or has Keras make none.
    """
    plain = type(layer).__call__ is keras.layers.Layer.__call__
    if BACKEND == "jax" and plain and getattr(layer, "_convert_input_args", False):
        return {path: tensor(a) for path, a in arrays.items()}
    return {path: a.copy() for path, a in arrays.items()}


def evaluate(layer: keras.layers.Layer, values: Sequence[Any], inputs: dict, **arguments) -> Any:
    """Call a layer with other values for its variables; the variables themselves stay unchanged.

    The seeds among the values decide the noise, which is the same each time.
    """
    with given_values(layer, values):
        return call(layer, inputs, **arguments)


def own_parameters(layer: type) -> dict[str, inspect.Parameter]:
    """The parameters of a class's constructor; none if the class inherits the constructor of `Layer`."""
    if layer.__init__ is keras.layers.Layer.__init__:  # type: ignore[misc]
        return {}
    _, *parameters = inspect.signature(layer.__init__).parameters.values()  # type: ignore[misc]
    return {each.name: each for each in parameters}


@contextlib.contextmanager
def given_values(
    layer: keras.layers.Layer, values: Sequence[Any]
) -> Iterator[keras.StatelessScope]:
    """Give a layer's variables other values for a while; assignments to them are dropped afterwards.

    The scope collects the losses that calls add inside it.
    """
    mapping = list(zip(layer.variables, values, strict=True))
    scope = keras.StatelessScope(state_mapping=mapping, collect_losses=True)
    with scope, _frozen_global_noise():
        yield scope


@contextlib.contextmanager
def _frozen_global_noise() -> Iterator[None]:
    """Fix the noise of PyTorch's global generator, because `Dropout` without a seed draws from it."""
    if BACKEND != "torch":
        yield
        return
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def packed(flat: dict) -> dict:
    """Tensors by path in the form that `call` takes: by argument, in lists and dicts if a path has dots."""
    tree: dict = {}
    for path, value in flat.items():
        *outer, last = path.split(".")
        place = tree
        for key in outer:
            place = place.setdefault(key, {})
        place[last] = value
    return {argument: _listed(value) for argument, value in tree.items()}


def _listed(node):
    if not isinstance(node, dict):
        return node
    inside = {key: _listed(value) for key, value in node.items()}
    return list(inside.values()) if "0" in inside else inside


def call(layer: keras.layers.Layer, inputs: dict, carried: dict | None = None, **arguments) -> Any:
    """Call a layer as a user would: the first argument by position, the others by name.

    Args:
        layer: The layer.
        inputs: The tensors or arrays by path.
        carried: Masks by path; those tensors carry them, as the output of `Masking` does.
        **arguments: Other arguments of the call, such as `training`.
    """
    for path, mask in (carried or {}).items():
        with_mask(inputs[path], mask)
    first, *others = packed(inputs).items()
    with warnings.catch_warnings():
        if carried:  # Keras warns if a layer does not use a mask, which its card may claim
            warnings.filterwarnings("ignore", "Layer .* was passed an input with a mask")
        return layer(first[1], **dict(others), **arguments)


def shape_errors() -> tuple[type[Exception], ...]:
    """The errors other than ValueError and TypeError that the backend raises if sizes do not fit."""
    if BACKEND == "tensorflow":
        import tensorflow as tf

        return (tf.errors.InvalidArgumentError,)
    return (RuntimeError,) if BACKEND == "torch" else ()


def mapped(layer: keras.layers.Layer, inputs: dict, **arguments) -> tuple:
    """The outputs of a layer that is mapped over a `tf.data.Dataset`, as a flat tuple."""
    import tensorflow as tf

    def element(given):
        given = {path: given[path] for path in inputs}  # a dataset sorts a dict
        return tuple(keras.tree.flatten(call(layer, given, **arguments)))

    return next(iter(tf.data.Dataset.from_tensors(inputs).map(element)))


def values(layer: keras.layers.Layer) -> list:
    """Copies of the values of a layer's variables."""
    return list(map(_cut_off, layer.variables))


def _cut_off(variable):
    if BACKEND == "jax":  # its arrays cannot change, and each copy would be compiled
        return variable.value
    return keras.ops.stop_gradient(keras.ops.copy(variable.value))


@contextlib.contextmanager
def kept_state(layer: keras.layers.Layer, seeds: bool = False) -> Iterator[None]:
    """Restore every variable afterwards, including those that a layer keeps without tracking them.

    Without `seeds`, the random seeds go on, so that the next call has other noise.
    """
    attributes = [each for inner in sublayers(layer) for each in vars(inner).values()]
    held = [x for each in attributes for x in _leaves(each)]
    held += layer.variables if seeds else []
    variables = {id(v): v for v in held if isinstance(v, keras.Variable)}
    kept = [(v, _cut_off(v)) for v in variables.values()]
    try:
        yield
    finally:
        for variable, value in kept:
            variable.assign(value)


def _leaves(value) -> list:
    try:
        return keras.tree.flatten(value)
    except TypeError:  # a dict by layers, which have no order: Keras keeps one of a compiled model
        return []


@contextlib.contextmanager
def float64() -> Iterator[None]:
    """Let Keras compute in float64, which JAX and PyTorch otherwise silently narrow to float32.

    This also sets the global dtype policy, for layers that a config makes and passes in.
    """
    from keras.src.backend.common import dtypes

    narrowing = getattr(dtypes, "BIT64_TO_BIT32_DTYPE", None)
    before_floatx, before_policy = keras.config.floatx(), keras.config.dtype_policy()
    before = None if narrowing is None else dict(narrowing)
    with contextlib.ExitStack() as stack:
        if BACKEND == "jax":
            import jax

            stack.enter_context(jax.enable_x64(True))
        keras.config.set_floatx("float64")
        keras.config.set_dtype_policy("float64")
        if narrowing is not None:
            narrowing["float64"] = "float64"
        try:
            yield
        finally:
            keras.config.set_floatx(before_floatx)
            keras.config.set_dtype_policy(before_policy)
            if narrowing is not None:
                narrowing.clear()
                narrowing.update(before)


def mask_of(x: Any) -> Any:
    """The mask that a tensor carries, or None."""
    return _masking("get_keras_mask")(x)


def with_mask(x: Any, mask: Any) -> Any:
    """The tensor with a mask that it carries, as the output of `Masking` does."""
    _masking("set_keras_mask")(x, mask)
    return x


def _masking(name: str):
    """Keras's private function with this name. Keras 3.16 moved both to `backend.common`."""
    from keras.src import backend

    for home in (backend, backend.common):
        if hasattr(home, name):
            return getattr(home, name)
    raise Inconclusive(
        "Keras must have its private functions for masks, in `keras.src.backend` or in "
        f"`keras.src.backend.common`. Received: Keras {keras.__version__} without `{name}`"
    )


@contextlib.contextmanager
def recorded_variables(collect: bool = True) -> Iterator[list]:
    """Record every variable that is created; at the end the list holds those that are still referenced.

    Without `collect`, discarded variables may still be in it. Older objects are not searched for garbage,
    because that would take a second or more in a process that has traced a lot.
    """
    from keras.src.backend.common.variables import Variable

    made: list = []
    references: list = []
    original = Variable.__init__

    def recording(self, *args, **kwargs):
        original(self, *args, **kwargs)
        references.append(weakref.ref(self))

    Variable.__init__ = recording
    if collect:
        gc.freeze()
    try:
        yield made
    finally:
        Variable.__init__ = original
        if collect:
            gc.collect()  # frees the variables of a discarded template layer
            gc.unfreeze()
        made += [variable for each in references if (variable := each()) is not None]


@contextlib.contextmanager
def little_garbage() -> Iterator[None]:
    """Let older objects be searched for no garbage: Keras searches for each layer that it quantises."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def sublayers(layer: keras.layers.Layer) -> list:
    """The layer and every layer inside it."""
    if not hasattr(layer, "_flatten_layers"):
        raise Inconclusive(
            "this version of Keras does not list the layers inside a layer (_flatten_layers)"
        )
    return list(layer._flatten_layers())


def half_inside(layer: keras.layers.Layer) -> str:
    """The half precision that a layer inside computes in, or an empty string."""
    dtypes = {inner.compute_dtype for inner in sublayers(layer)}
    return next((half for half in ("bfloat16", "float16") if half in dtypes), "")


KERNELS = (
    *("conv", "conv_transpose", "depthwise_conv", "separable_conv"),
    *("average_pool", "max_pool"),
)
"""The backend's functions of these names in Keras, which need not accept an empty batch."""


@contextlib.contextmanager
def kernels_for_empty_batches() -> Iterator[None]:
    """Let the backend's convolutions and poolings accept an empty batch, which some of them refuse."""
    from keras.src.backend import nn

    def accepting(kernel):
        def accept(inputs, *args, **kwargs):
            if inputs.shape[0] != 0:
                return kernel(inputs, *args, **kwargs)
            one = keras.ops.zeros((1, *inputs.shape[1:]), inputs.dtype)
            return kernel(one, *args, **kwargs)[:0]

        return accept

    with contextlib.ExitStack() as stack:
        for kernel in KERNELS:
            stack.enter_context(quick.swapped(nn, kernel, accepting))
        yield


def raised_by_initializer(error: Exception) -> bool:
    """Whether an error comes from a Keras initializer, because some backends cannot draw some dtypes."""
    frames = traceback.extract_tb(error.__traceback__)
    return any("initializers" in Path(frame.filename).parts for frame in frames)


def own_weights(layer: keras.layers.Layer) -> list:
    """The float weights of a layer, without those of inner layers."""
    inside = {id(w) for inner in sublayers(layer) if inner is not layer for w in inner.weights}
    return [w for w in layer.weights if id(w) not in inside and "float" in w.dtype]


def builds_by_itself(layer: keras.layers.Layer) -> bool:
    """Whether the layer has its own `build`, so that it is not built by running its call."""
    return not is_default(layer.build)


def is_default(method: Any) -> bool:
    """Whether a method is Keras's default, which a layer may override."""
    return getattr(method, "_is_default", False)


@contextlib.contextmanager
def fresh_names() -> Iterator[None]:
    """Let Keras number unnamed layers as in a new process."""
    from keras.src.backend.common import global_state

    before = global_state.get_global_attribute("object_name_uids")
    global_state.set_global_attribute("object_name_uids", collections.defaultdict(int))
    try:
        yield
    finally:
        global_state.set_global_attribute("object_name_uids", before)


def traced(layer: keras.layers.Layer, inputs: dict, **arguments) -> Any:
    """The spec of the outputs as Keras finds it by tracing the call, whatever shapes the layer tells."""
    trace = functools.partial(keras.Operation.compute_output_spec, layer)
    object.__setattr__(layer, "compute_output_spec", trace)  # Keras would track it
    try:
        return call(layer, inputs, **arguments)
    finally:
        object.__delattr__(layer, "compute_output_spec")


def takes(layer: keras.layers.Layer, argument: str) -> bool:
    """Whether the layer's `call` has an argument of this name."""
    return argument in inspect.signature(layer.call).parameters


def constructor_arguments(layer: keras.layers.Layer) -> dict:
    """The arguments that an instance was made with, as far as Keras or the config knows them."""
    remembered = getattr(layer, "_auto_config", None)
    config = remembered.config if remembered is not None else layer.get_config()
    return {k: v for k, v in config.items() if k not in ("name", "dtype", "trainable")}


def argument(layer: keras.layers.Layer, name: str, default: Any) -> Any:
    """A constructor argument of an instance: its attribute, what Keras remembers, or the default."""
    for attribute in (name, f"_{name}"):
        if attribute in vars(layer):
            return vars(layer)[attribute]
    remembered = getattr(layer, "_auto_config", None)
    return default if remembered is None else remembered.config.get(name, default)


def is_of_keras(function: Any) -> bool:
    """Whether a function or method is Keras's own."""
    return function.__module__.split(".")[0] == "keras"


def made_anew(value: Any) -> Any:
    """A new copy of an argument: a layer in it is a new layer that follows the global dtype policy."""
    if isinstance(value, keras.layers.Layer):
        value = keras.saving.serialize_keras_object(value)
    if isinstance(value, list | tuple):
        return type(value)(map(made_anew, value))
    if isinstance(value, dict) and "class_name" in value:
        return keras.saving.deserialize_keras_object(_without_policy(value))
    if isinstance(value, dict):
        return {key: made_anew(inner) for key, inner in value.items()}
    return copy.deepcopy(value)


def _without_policy(config):
    """A serialized layer without the dtype policy that it took from the global one."""
    if isinstance(config, list | tuple):
        return type(config)(map(_without_policy, config))
    if not isinstance(config, dict):
        return config
    policy = keras.saving.serialize_keras_object(keras.config.dtype_policy())
    plain = keras.saving.serialize_keras_object(keras.dtype_policies.get("float32"))
    return {
        key: _without_policy(value)
        for key, value in config.items()
        if not (key == "dtype" and value in (policy, plain))
    }


@contextlib.contextmanager
def kept_session() -> Iterator[None]:
    """Restore Keras's session afterwards, which `clear_session` discards, and the registered classes."""
    from keras.src.backend.common import global_state
    from keras.src.saving import object_registration

    session = ("GLOBAL_STATE_TRACKER", "GLOBAL_SETTINGS_TRACKER")
    kept = {name: getattr(global_state, name) for name in session if hasattr(global_state, name)}
    registers = (
        object_registration.GLOBAL_CUSTOM_OBJECTS,
        object_registration.GLOBAL_CUSTOM_NAMES,
    )
    known = [dict(each) for each in registers]
    try:
        yield
    finally:
        for name, value in kept.items():
            setattr(global_state, name, value)
        for each, before in zip(registers, known, strict=True):
            each.clear()
            each.update(before)


@contextlib.contextmanager
def global_policy(policy: Any) -> Iterator[None]:
    """Set another global dtype policy for a while; None keeps the current one."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy or before)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


@contextlib.contextmanager
def global_seeds(seed: int) -> Iterator[None]:
    """Set other seeds for a while: of NumPy, of Python and, on PyTorch, of its global generator."""
    with contextlib.ExitStack() as stack:
        if BACKEND == "torch":
            import torch

            stack.enter_context(torch.random.fork_rng(devices=[]))
            torch.manual_seed(seed)
        numpy_state, python_state = np.random.get_state(), random.getstate()
        np.random.seed(seed)
        random.seed(seed)
        try:
            yield
        finally:
            np.random.set_state(numpy_state)
            random.setstate(python_state)


def give_seeds(layers: list, seed: int) -> None:
    """Set the seed generators of some layers as if each had been made with this seed."""
    for layer in layers:
        for generator in getattr(layer, "_seed_generators", ()):
            generator._initial_seed = seed  # PyTorch's dropout reads it
            generator.state.assign([seed, 0])


def forget_unfinished_calls() -> None:
    """Clear the call context that Keras leaves if a call fails; otherwise the next layer looks nested in it.

    This happens if a call fails before the layer's own code runs. Losses would then pile up in the next
    layer that is called.
    """
    from keras.src.backend.common import global_state

    global_state.set_global_attribute("current_call_ctx", None)


@contextlib.contextmanager
def initial_values() -> Iterator[None]:
    """On JAX, let NumPy draw for Keras's initializers, because JAX compiles a program for each shape."""
    if BACKEND != "jax":
        yield
        return
    from keras.src.initializers import constant_initializers, random_initializers

    with (
        quick.swapped(random_initializers, "random", quick.drawing),
        quick.swapped(constant_initializers, "ops", quick.filling),
    ):
        yield


@contextlib.contextmanager
def serialization() -> Iterator[None]:
    """Let Keras write a config without importing TensorFlow, only to look for its types in the config.

    A config cannot hold such types before something imports TensorFlow, and the import takes seconds.
    """
    from keras.src.saving import serialization_lib

    with quick.swapped(serialization_lib, "tf", quick.IfImported):
        yield


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Let the kit work: restore Keras's global settings afterwards, and let errors through unwrapped.

    If JAX compiles inside, it does so quickly; see `quick`.
    """
    policy = keras.config.dtype_policy()
    floatx = keras.config.floatx()
    image = keras.config.image_data_format()
    filtering = keras.config.is_traceback_filtering_enabled()
    numpy_state, python_state = np.random.get_state(), random.getstate()
    # they warn about retracing and exporting, which the kit does on purpose
    shapes = "torch.fx.experimental.symbolic_shapes"
    names = ("tensorflow", "absl", "torch._dynamo", "torch._export", shapes)
    loggers = [logging.getLogger(name) for name in names]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    keras.config.disable_traceback_filtering()
    try:
        with quick.optimized(False), initial_values(), serialization():
            yield
    finally:
        keras.config.set_dtype_policy(policy)
        keras.config.set_floatx(floatx)
        keras.config.set_image_data_format(image)
        np.random.set_state(numpy_state)
        random.setstate(python_state)
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        if filtering:
            keras.config.enable_traceback_filtering()


def lost() -> list[str]:
    """The names of the private parts of Keras that this module uses but this version of Keras lacks."""
    return [name for name, works in HOOKS.items() if not _succeeds(works)]


def _succeeds(works) -> bool:
    try:
        return bool(works())
    except Exception:  # any error means that the name is missing
        return False


def _part_of(module: str, name: str) -> bool:
    return operator.attrgetter(name)(importlib.import_module(f"keras.src.{module}")) is not None


def _narrows() -> bool:
    from keras.src.backend.common import dtypes

    return "float64" in dtypes.BIT64_TO_BIT32_DTYPE


def _records() -> bool:
    with recorded_variables() as made:
        variable = keras.Variable(0.0)
    return any(each is variable for each in made)


def _numbers_anew() -> bool:
    keras.layers.Dense(1)
    with fresh_names():
        return keras.layers.Dense(1).name == "dense"


def _knows_the_call() -> bool:
    from keras.src.backend.common import global_state

    seen = []

    class Probe(keras.layers.Layer):
        def call(self, inputs):
            seen.append(global_state.get_global_attribute("current_call_ctx"))
            return inputs

    Probe()(np.zeros((1, 1), "float32"))
    return seen[0] is not None


HOOKS = {
    "get_keras_mask": lambda: mask_of(keras.ops.ones((1, 1))) is None,
    "set_keras_mask": lambda: mask_of(with_mask(keras.ops.ones((1, 1)), np.ones(1))) is not None,
    "BIT64_TO_BIT32_DTYPE": _narrows,
    "Variable.__init__": _records,
    "_flatten_layers": lambda: len(sublayers(keras.Sequential([keras.layers.Dense(1)]))) == 2,
    "_is_default": lambda: is_default(keras.layers.ReLU().build),
    "object_name_uids": _numbers_anew,
    "_auto_config": lambda: keras.layers.Dense(1)._auto_config.config["units"] == 1,
    "_seed_generators": lambda: len(keras.layers.Dropout(0.5)._seed_generators) == 1,
    "_initial_seed": lambda: keras.random.SeedGenerator(3)._initial_seed == 3,
    "current_call_ctx": _knows_the_call,
    "_convert_input_args": lambda: keras.layers.Dense(1)._convert_input_args,
    "random_initializers.random": lambda: _part_of("initializers.random_initializers", "random"),
    "constant_initializers.ops": lambda: _part_of("initializers.constant_initializers", "ops"),
    "nn.kernel": lambda: all(_part_of("backend", f"nn.{kernel}") for kernel in KERNELS),
    "serialization_lib.tf": lambda: _part_of("saving.serialization_lib", "tf"),
}
"""For each private name, whether it still does what this module needs. Many could vanish unnoticed."""
