"""A card at a sample: the layer, its inputs and its weights, made anew as often as a property asks."""

import copy
import functools
import inspect
import random

import keras
import numpy as np

from layerzoo.catalogue import Card, Config, Traits
from layerzoo.testing import compat
from layerzoo.testing.samples import BUCKETS, Replay, Sample


class Case:
    """A card at a sample.

    Attributes:
        card: What is checked.
        sample: Where it is checked.
    """

    def __init__(self, card: Card, sample: Sample):
        self.card = card
        self.sample = sample

    @property
    def config(self) -> Config:
        """The constructor arguments, made anew: a wrapped layer must not be shared by two wrappers."""
        return self.card.configs(Replay(self.sample.choices))

    @functools.cached_property
    def traits(self) -> Traits:
        """What the layer claims under this config."""
        return self.card.traits.under(self.config)

    @functools.cached_property
    def sizes(self) -> dict[str, int]:
        """The size of each axis letter."""
        replay = Replay(self.sample.choices)
        config = self.card.configs(replay)
        sizes = {**BUCKETS[self.sample.bucket], **self.card.dims(replay, config)}
        letters = {letter for axes in self.card.axes.values() for letter in axes}
        unknown = letters - set(sizes)
        if unknown:
            raise ValueError(
                f"The card of `{self.card.name}` must give a size in `dims` to every axis letter that no "
                f"bucket knows. Received: inputs={self.card.inputs!r}, without size: {sorted(unknown)}"
            )
        return {letter: sizes[letter] for letter in sorted(letters)}

    def shapes(self, **changed) -> dict[str, tuple[int, ...]]:
        """The shape of each input; `changed` replaces sizes of axis letters, also by None."""
        sizes = {**self.sizes, **changed}
        return {
            name: tuple(sizes[letter] for letter in axes) for name, axes in self.card.axes.items()
        }

    def longer(self) -> dict[str, int]:
        """Other sizes for the axes whose size may change after the layer is built."""
        return {
            letter: self.sizes[letter] + (1 if letter == "b" else 2)
            for letter in self.traits.dynamic.split()
        }

    def arrays(self, salt: int = 0, values: str | None = None, **changed) -> dict[str, np.ndarray]:
        """Float32 inputs; another salt gives other numbers."""
        generator = np.random.default_rng([self.sample.seed, salt])
        kind = values or self.sample.values
        return {
            name: draw(generator, kind, shape) for name, shape in self.shapes(**changed).items()
        }

    def make(self, **settings) -> keras.layers.Layer:
        """A new layer; `settings` are Keras's own arguments or replace some of the config."""
        return self.card.layer(**{**self.config, **settings})

    def built(self, **settings) -> keras.layers.Layer:
        """A new layer after its first call, with every weight moved off its initial value."""
        random.seed(self.sample.seed)  # where Keras takes the seeds that nobody gave
        layer = self.make(**settings)
        self.call(layer, self.arrays())
        self.move_weights(layer)
        return layer

    def move_weights(self, layer) -> None:
        """Move every float weight by a seeded draw: zero biases and unit gains hide errors."""
        generator = np.random.default_rng([self.sample.seed, 977])
        for weight in layer.weights:
            value = compat.array(weight)
            if np.issubdtype(value.dtype, np.floating):
                step = generator.normal(size=value.shape, scale=0.3)
                weight.assign(value + (step if weight.trainable else np.abs(step)))

    def twin(self, layer, **settings) -> keras.layers.Layer:
        """A new layer with the weights of a given one."""
        twin = self.make(**settings)
        self.call(twin, self.arrays())
        twin.set_weights(layer.get_weights())
        return twin

    def build(self, layer, **changed) -> None:
        """Build a layer from shapes alone."""
        shapes = self.shapes(**changed)
        parameters = inspect.signature(layer.build).parameters
        if len(shapes) == 1:
            layer.build(*shapes.values())
        elif all(f"{name}_shape" in parameters for name in shapes):
            layer.build(**{f"{name}_shape": shape for name, shape in shapes.items()})
        else:
            layer.build({f"{name}_shape": shape for name, shape in shapes.items()})

    def call(self, layer, arrays, **arguments):
        """The raw outputs for NumPy inputs, which are copied first."""
        return compat.call(layer, {name: a.copy() for name, a in arrays.items()}, **arguments)

    def run(self, layer, arrays, **arguments) -> list[np.ndarray]:
        """The outputs for NumPy inputs as a flat list of NumPy arrays."""
        return flat(self.call(layer, arrays, **arguments))

    def symbols(self, **changed) -> dict[str, keras.KerasTensor]:
        """Symbolic inputs."""
        return {
            name: keras.KerasTensor(shape, dtype="float32", name=name)
            for name, shape in self.shapes(**changed).items()
        }

    def functional(self, *layers, **changed) -> keras.Model:
        """A Functional model of one input or a dict of them; several layers share the inputs."""
        inputs = {
            name: keras.Input(shape[1:], batch_size=shape[0], name=name)
            for name, shape in self.shapes(**{"b": None, **changed}).items()
        }
        outputs = [compat.call(layer, inputs) for layer in layers]
        only = inputs[next(iter(inputs))] if len(inputs) == 1 else inputs
        return keras.Model(only, outputs[0] if len(outputs) == 1 else outputs)

    def feed(self, arrays):
        """The inputs as `functional` takes them."""
        return next(iter(arrays.values())) if len(arrays) == 1 else arrays

    def snippet(self) -> str:
        """Python that makes the layer and its inputs with keras and numpy alone, and calls it."""
        cls = self.card.layer
        arguments = ", ".join(f"{name}={_source(value)}" for name, value in self.config.items())
        lines = ["import numpy as np", f"from {cls.__module__} import {cls.__qualname__}"]
        lines += [f"layer = {cls.__qualname__}({arguments})"]
        for salt, (name, shape) in enumerate(self.shapes().items()):
            lines += [f"{name} = np.random.default_rng({salt}).normal(size={shape})"]
        first, *others = self.shapes()
        call = ", ".join([first, *(f"{name}={name}" for name in others)])
        return "\n".join([*lines, f"print(layer({call}))"])


def draw(generator: np.random.Generator, kind: str, shape) -> np.ndarray:
    """Input values of a class; all but `ties` are continuous, so that kinks have probability 0."""
    x = generator.normal(size=shape)
    if kind == "large":
        x = x * 30
    elif kind == "small":
        x = x * 1e-2
    elif kind == "ties":
        x = np.round(x)
    elif kind == "sorted":
        x = np.sort(x, axis=-1)
    elif kind in ("zeros", "ones"):
        x = np.full(shape, float(kind == "ones"))
    return x.astype("float32")


def flat(outputs) -> list[np.ndarray]:
    """Nested outputs as a flat list of NumPy arrays."""
    return [compat.array(leaf) for leaf in keras.tree.flatten(outputs)]


def _source(value) -> str:
    if isinstance(value, keras.layers.Layer):
        parameters = inspect.signature(type(value).__init__).parameters
        inside = ", ".join(
            f"{name}={_source(each)}"
            for name, each in compat.constructor_arguments(value).items()
            if name not in parameters or each != parameters[name].default
        )
        return f"{type(value).__name__}({inside})"
    if isinstance(value, list):
        return f"[{', '.join(map(_source, value))}]"
    return repr(value)


def card_of(layer: keras.layers.Layer, inputs, traits: Traits | None = None) -> Card:
    """A card for an instance: its constructor arguments, and axis letters for the shapes given.

    Args:
        layer: The instance. It is not touched: the checks make layers like it.
        inputs: A shape, or a dict of shapes by the names of `call`'s arguments. The first axis is the
            batch.
        traits: What it claims; by default only what every layer must keep.

    Raises:
        ValueError: a shape is missing or is no tuple of positive integers.
    """
    shapes = inputs if isinstance(inputs, dict) else {"inputs": inputs}
    for name, shape in shapes.items():
        sound = isinstance(shape, tuple | list) and len(shape) > 0
        if not sound or not all(isinstance(size, int) and size > 0 for size in shape):
            raise ValueError(
                "`inputs` must be a shape of positive integers, or a dict of them by the names of "
                f"`call`'s arguments. Received: {name}={shape!r}"
            )
    letters = iter("ijklmnopqruvw")
    axes: dict[str, list[str]] = {}
    sizes: dict[str, int] = {}
    for name, shape in shapes.items():
        axes[name] = ["b", *(next(letters) for _ in shape[1:])]
        sizes.update(zip(axes[name][1:], shape[1:], strict=True))
    arguments = compat.constructor_arguments(layer)
    written = {name: " ".join(each) for name, each in axes.items()}
    return Card(
        layer=type(layer),
        inputs=written if isinstance(inputs, dict) else written["inputs"],
        configs=lambda pick: copy.deepcopy(arguments),
        dims=lambda pick, config: sizes,
        traits=traits or Traits(),
    )
