"""What a layer's `call` does, operation by operation, and where in the code each of them is run.

`call` runs on symbolic tensors, which remember the operations they came from.
"""

import inspect
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Any
from unittest.mock import patch

import keras

Shapes = Mapping[str, Mapping[str, int]]
Site = tuple[tuple[Any, int], ...]
DRAWS = ("normal", "randint", "truncated_normal", "uniform")
LIBRARIES = ("jax", "keras", "tensorflow", "torch")


@dataclass(frozen=True)
class Call:
    """One call of a function during the trace: its frame tells it from others, its site says where."""

    frame: FrameType
    site: Site

    @property
    def name(self) -> str:
        """The function's name."""
        return self.frame.f_code.co_name

    @property
    def of_ops(self) -> bool:
        """Whether the function is a public one of a module named `ops`, or in a package named so."""
        module = self.frame.f_globals.get("__name__", "")
        return "ops" in module.split(".") and not self.name.startswith(("_", "<"))


@dataclass(eq=False)
class Step:
    """One operation, layer or input.

    Attributes:
        node: What Keras knows of it.
        reads: The steps that it reads.
        calls: The calls of functions that it was run in, the outermost first.
        site: Where in the code it was run.
        time: Earlier steps have smaller ones.
    """

    node: Any
    reads: list["Step"]
    calls: list[Call] = field(default_factory=list)
    site: Site = ()
    time: int = -1

    @property
    def operation(self) -> Any:
        """The operation."""
        return self.node.operation

    @property
    def is_layer(self) -> bool:
        """Whether it is a layer inside the layer."""
        return isinstance(self.operation, keras.layers.Layer) and not self.node.is_input

    @property
    def name(self) -> str:
        """The operation's name as the functions of `keras.ops` are written."""
        return snake_case(type(self.operation).__name__)

    @property
    def made_up_name(self) -> bool:
        """Whether Keras made up the name of the layer."""
        return bool(re.fullmatch(rf"{self.name}(_\d+)?", self.operation.name))


class Source(keras.Operation):
    """A tensor that `call` takes from elsewhere than its inputs.

    Its `kind` is "trainable" or "fixed" for a weight, "draw" for random numbers, "method" for what a
    method of the layer gives.
    """

    def __init__(self, kind, source, value):
        super().__init__()
        self.kind, self.source = kind, source
        self.spec = keras.KerasTensor(value.shape, keras.backend.standardize_dtype(value.dtype))

    def compute_output_spec(self):
        """The tensor's shape and type."""
        return self.spec


def snake_case(name: str) -> str:
    """`SelfAttention` as `self_attention`: the name that Keras gives to a layer without one."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=.)(?=[A-Z][a-z])", "_", name).lower()


def run(
    layer: keras.layers.Layer, shapes: Shapes, sources: bool = False, methods: Iterable[str] = ()
) -> tuple[list[Step], list[tuple[Step, tuple]]]:
    """Run `call` in training.

    Args:
        layer: The layer. It is built if it is not; its variables keep their values.
        shapes: The size of every axis letter of each input.
        sources: Whether the layer's weights and its draws of random numbers are steps too. Otherwise
            what is computed from them alone is part of no step.
        methods: Names. With `sources`, what a method of the layer of such a name gives is a step too,
            where it is computed from no other step.

    Returns:
        The steps, each after those that it reads; and the step and the shape of each output.
    """
    inputs = {
        name: keras.Input(batch_shape=tuple(sizes.values()), dtype=layer.compute_dtype, name=name)
        for name, sizes in shapes.items()
    }
    layer(**inputs)
    training = {"training": True} if "training" in inspect.signature(layer.call).parameters else {}
    places: dict[tuple[Any, int], tuple[list[Call], Site, int]] = {}
    before = [(variable, variable.numpy()) for variable in layer.non_trainable_variables]
    symbolic = _sources(layer, methods) if sources else ExitStack()
    no_losses = patch.object(layer, "add_loss", lambda loss: None)  # Keras takes no symbolic loss
    try:
        with _noticed(places), symbolic, no_losses:
            outputs = layer.call(**inputs, **training)
    finally:
        for variable, value in before:  # a draw moves the state of a seed
            variable.assign(value)

    steps: dict[int, Step] = {}

    def visit(tensor):
        history = tensor._keras_history
        node = history.operation._inbound_nodes[history.node_index]
        if id(node) not in steps:
            reads = list(dict.fromkeys(visit(read) for read in node.arguments.keras_tensors))
            calls, site, time = places.get((node.operation, history.node_index), ([], (), -1))
            time = max([time, *(read.time for read in reads)])
            step = Step(node, reads, calls, site, time)
            off = step.is_layer and getattr(step.operation, "rate", None) == 0
            steps[id(node)] = reads[0] if off else step
        return steps[id(node)]

    ends = [(visit(tensor), tuple(tensor.shape)) for tensor in keras.tree.flatten(outputs)]
    return list(dict.fromkeys(steps.values())), ends


@contextmanager
def _noticed(places) -> Iterator[None]:
    """Note the place of each operation, by the operation and the number of its call."""

    def noticing(plain: Callable) -> Callable:
        def symbolic_call(operation, *args, **kwargs):
            places[operation, len(operation._inbound_nodes)] = (*_place(), len(places))
            return plain(operation, *args, **kwargs)

        return symbolic_call

    with ExitStack() as stack:
        for kind in (keras.Operation, keras.layers.Layer):
            noticed = noticing(kind.symbolic_call)
            stack.enter_context(patch.object(kind, "symbolic_call", noticed))
        yield


def _place() -> tuple[list[Call], Site]:
    """The calls between `run` and here that are none of Keras, outermost first, and the whole site."""
    frames = []
    frame: Any = sys._getframe(2)
    while frame.f_code is not run.__code__:
        if frame.f_globals.get("__name__", "").split(".")[0] not in LIBRARIES:
            frames.append(frame)
        frame = frame.f_back
    calls: list[Call] = []
    site: Site = ()
    for frame in reversed(frames):
        if not frame.f_code.co_flags & inspect.CO_GENERATOR:  # which others may run in between
            calls.append(Call(frame, (*site, (frame.f_code, 0))))
        site = (*site, (frame.f_code, frame.f_lasti))
    return calls, site


@contextmanager
def _sources(layer, methods) -> Iterator[None]:
    """The layer's own weights, what it draws, and what these methods give, as symbolic tensors."""

    def symbolic(kind, plain):
        def function(*args, **kwargs):
            value = plain(*args, **kwargs)
            if not keras.ops.is_tensor(value) or keras.utils.is_keras_tensor(value):
                return value
            return Source(kind, plain.__name__, value).symbolic_call()

        return function

    own: dict[str, Any] = {
        name: Source("trainable" if value.trainable else "fixed", name, value).symbolic_call()
        for name, value in vars(layer).items()
        if isinstance(value, keras.Variable)
    }
    for name in methods:
        if inspect.ismethod(method := getattr(layer, name, None)):
            own[name] = symbolic("method", method)
    with ExitStack() as stack:
        stack.enter_context(patch.dict(vars(layer), own))
        for name in DRAWS:
            draw = symbolic("draw", getattr(keras.random, name))
            stack.enter_context(patch.object(keras.random, name, draw))
        yield


def written(shape, shapes: Shapes) -> str:
    """A shape with the letters of the inputs' axes in place of sizes."""
    letters = {size: letter for sizes in shapes.values() for letter, size in sizes.items()}
    return f"({', '.join(_size(size, letters) for size in shape)})"


def _size(size, letters):
    """A size as its letter, or as a multiple of a letter that stands for an odd size."""
    if size in letters:
        return letters[size]
    for one, letter in letters.items():
        if one % 2 and one > 1 and size and size % one == 0:
            return f"{size // one}{letter}"
    return str(size)
