"""A card at a sample: it makes the layer, its inputs and its weights whenever a property asks for them."""

import contextlib
import functools
import inspect
import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import keras
import numpy as np

from layerzoo.card import CardError
from layerzoo.catalogue import Card, Config, Tensor, Traits
from layerzoo.tensors import compat
from layerzoo.tensors.outcomes import NotApplicable
from layerzoo.testing.engine.samples import BUCKETS, Replay, Sample
from layerzoo.testing.engine.sources import is_default, source

Arrays = dict[str, np.ndarray]
"""Arrays by the paths of the inputs."""


class Case:
    """A card at a sample.

    Attributes:
        card: The card.
        sample: The sample.
    """

    def __init__(self, card: Card, sample: Sample):
        self.card = card
        self.sample = sample

    @property
    def config(self) -> Config:
        """The constructor arguments, as new objects, because two wrappers must not share a layer."""
        return self.card.configs(Replay(self.sample.choices))

    @functools.cached_property
    def _read(self) -> tuple[Config, dict[str, int]]:
        """The constructor arguments, only to be read, and the axis sizes that the card gives for them."""
        replay = Replay(self.sample.choices)
        config = self.card.configs(replay)
        return config, self.card.dims(replay, config)

    @functools.cached_property
    def traits(self) -> Traits:
        """What the layer claims with this config."""
        return self.card.traits.under(self._read[0])

    @functools.cached_property
    def tensors(self) -> dict[str, Tensor]:
        """The input tensors by path, as the card describes them."""
        return self.card.tensors(self._read[0])

    @property
    def dims(self) -> dict[str, int]:
        """The axis sizes that the card gives for this config."""
        return self._read[1]

    @property
    def fixed(self) -> set[str]:
        """The axis letters that have one size: the card gives it, and does not say that it may change."""
        return set(self.dims) - set(self.traits.dynamic.split())

    @functools.cached_property
    def sizes(self) -> dict[str, int]:
        """The size of each axis letter."""
        given = {letter: n for letter, n in self.sample.axes.items() if letter not in self.fixed}
        sizes = {**BUCKETS[self.sample.bucket], **self.dims, **given}
        letters = {letter for tensor in self.tensors.values() for letter in tensor.letters}
        unknown = letters - set(sizes)
        if unknown:
            raise CardError(
                f"The card of `{self.card.name}` must give a size in `dims` for every axis letter that no "
                f"bucket has. Received: inputs={self.card.inputs!r}, without size: {sorted(unknown)}"
            )
        return {letter: sizes[letter] for letter in sorted(letters)}

    @property
    def first(self) -> str:
        """The path of the first input tensor."""
        return next(iter(self.tensors))

    @property
    def floats(self) -> list[str]:
        """The paths of the float inputs, by which the layer can be differentiated."""
        return [path for path, tensor in self.tensors.items() if tensor.floating]

    def shapes(self, **changed) -> dict[str, tuple[int, ...]]:
        """The shape of each input tensor; `changed` replaces sizes of axis letters, possibly by None.

        Raises:
            NotApplicable: a letter's size would change, but the card says that it is fixed.
        """
        fixed = set(changed) - set(self.traits.dynamic.split())
        if any(changed[letter] != self.sizes.get(letter) for letter in fixed):
            raise NotApplicable(f"the size of {', '.join(sorted(fixed))} is fixed")
        sizes = {**self.sizes, **changed}
        return {
            path: tuple(sizes[letter] for letter in tensor.letters)
            for path, tensor in self.tensors.items()
        }

    def longer(self) -> dict[str, int]:
        """Other sizes for the axes whose size can change after the layer is built."""
        return {
            letter: self.sizes[letter] + (1 if letter == "b" else 2)
            for letter in self.traits.dynamic.split()
        }

    def roomy(self) -> "Case":
        """The card with sizes above one, because a softmax over one step, for example, has no gradient."""
        wide = {letter: n for letter, n in self.sample.axes.items() if n > 2}
        return Case(self.card, replace(self.sample, bucket=self.sample.bucket % 2, sizes=wide))

    def resized(self, **sizes) -> "Case":
        """The card at the same sample with other sizes of some axes."""
        other = Case(self.card, self.sample)
        other.sizes = {**self.sizes, **sizes}
        return other

    def long(self) -> "Case":
        """The card with a batch of one and about forty steps, as far as these sizes may change."""
        free = set(self.traits.dynamic.split()) & set(self.sizes)
        return self.resized(
            **{axis: n for axis, n in dict(b=1, t=40, s=37).items() if axis in free}
        )

    def elsewhere(self) -> "Case":
        """The card with every choice changed, another seed, and other sizes."""
        choices = tuple(choice + 1 for choice in self.sample.choices)
        bucket = 1 - min(self.sample.bucket, 1)
        return Case(self.card, Sample(choices, bucket, self.sample.values, self.sample.seed + 1))

    def unknowns(self) -> list[dict[str, int]]:
        """Other sizes for the axes that may be unknown: for each axis alone, then for all together."""
        longer = self.longer()
        alone = [{letter: size} for letter, size in longer.items()]
        return [*alone, longer] if len(longer) > 1 else alone

    def arrays(self, salt: int = 0, values: str | None = None, **changed) -> Arrays:
        """The input arrays by path; a different salt gives different numbers."""
        generator = np.random.default_rng([self.sample.seed, salt])
        kind = values or self.sample.values
        return {
            path: draw(generator, kind, shape, self.tensors[path])
            for path, shape in self.shapes(**changed).items()
        }

    def make(self, **settings) -> keras.layers.Layer:
        """A new layer; `settings` are arguments of Keras's base class, or replace some of the config.

        Layers that the config passes in get the same dtype policy.
        """
        with compat.global_policy(settings.get("dtype")):
            config = self.config
        return self.card.layer(**{**config, **settings})

    def built(self, **settings) -> keras.layers.Layer:
        """A new layer after its first call, with every weight moved off its initial value."""
        random.seed(self.sample.seed)  # Keras draws missing seeds from here
        layer = self.make(**settings)
        self.call(layer, self.arrays())
        self.move_weights(layer)
        return layer

    def move_weights(self, layer: keras.layers.Layer) -> None:
        """Move every float weight off its value, by the seed of the sample."""
        move_weights(layer, self.sample.seed)

    def twin(self, layer: keras.layers.Layer, **settings) -> keras.layers.Layer:
        """A new layer with the weights of the given one."""
        twin = self.make(**settings)
        self.call(twin, self.arrays())
        twin.set_weights(layer.get_weights())
        return twin

    def build(self, layer: keras.layers.Layer, shapes: Any = None) -> None:
        """Build a layer from shapes alone, as Keras does before the first call."""
        shapes = compat.packed(shapes or self.shapes())
        named = {f"{name}_shape": shape for name, shape in shapes.items()}
        parameters = inspect.signature(layer.build).parameters
        if len(shapes) > 1 and all(name in parameters for name in named):
            layer.build(**named)
        elif len(shapes) == 1 or compat.builds_by_itself(layer):
            layer.build(next(iter(shapes.values())))
        else:
            layer.build(named)

    def call(self, layer: keras.layers.Layer, arrays: Arrays, **arguments) -> Any:
        """The raw outputs for copies of NumPy inputs, at inference unless `training` is given.

        It asks for inference explicitly, because some Keras layers train by default.
        """
        with self.resting(layer):
            return compat.call(
                layer, compat.handed(layer, arrays), **{"training": False, **arguments}
            )

    def resting(self, layer: keras.layers.Layer) -> contextlib.AbstractContextManager[None]:
        """Restore the state afterwards if the layer, or a model around it, changes it on every call."""
        if self.traits.state != "always":
            return contextlib.nullcontext()
        if not layer.built and not isinstance(layer, keras.Model):
            self.build(layer)
        return compat.kept_state(layer)

    def run_model(self, model: keras.Model, arrays: Arrays) -> list[np.ndarray]:
        """The outputs of a model around the layer as a flat list of NumPy arrays."""
        with self.resting(model):
            return compat.flat(model(self.feed(arrays), training=False))

    def run(self, layer: keras.layers.Layer, arrays: Arrays, **arguments) -> list[np.ndarray]:
        """The outputs for NumPy inputs as a flat list of NumPy arrays."""
        return compat.flat(self.call(layer, arrays, **arguments))

    def train(self, layer: keras.layers.Layer, arrays: Arrays, **arguments) -> list[np.ndarray]:
        """The outputs in training. Each time, the noise is the same and the state stays as it was."""
        with self.still(layer):
            return self.run(layer, arrays, training=True, **arguments)

    @contextlib.contextmanager
    def still(self, layer: keras.layers.Layer) -> Iterator[None]:
        """Let the noise be the same each time, and restore the state afterwards."""
        with compat.kept_state(layer, seeds=True), compat.global_seeds(1):
            yield

    def symbols(self, **changed) -> dict[str, keras.KerasTensor]:
        """Symbolic inputs by path."""
        return {
            path: keras.KerasTensor(shape, dtype=self.tensors[path].dtype, name=path)
            for path, shape in self.shapes(**changed).items()
        }

    def functional(self, *layers, **changed) -> keras.Model:
        """A Functional model with one input or a dict of inputs; several layers share them."""
        if "b" in self.traits.dynamic.split():
            changed = {"b": None, **changed}
        inputs = {
            path: keras.Input(
                shape[1:], batch_size=shape[0], dtype=self.tensors[path].dtype, name=path
            )
            for path, shape in self.shapes(**changed).items()
        }
        outputs = [compat.call(layer, inputs) for layer in layers]
        only = inputs[self.first] if len(inputs) == 1 else inputs
        return keras.Model(only, outputs[0] if len(outputs) == 1 else outputs)

    def feed(self, arrays: Arrays) -> Any:
        """The inputs in the form that `functional` takes."""
        return next(iter(arrays.values())) if len(arrays) == 1 else arrays

    @property
    def sequential(self) -> bool:
        """Whether the layer can be in a Sequential model: its input is one tensor, not in a list."""
        return len(self.tensors) == 1 and "." not in self.first

    @property
    def moved(self) -> Config:
        """The constructor arguments that differ from their defaults."""
        parameters = inspect.signature(self.card.layer.__init__).parameters
        return {
            name: value
            for name, value in self.config.items()
            if name not in parameters or not is_default(name, value, parameters[name].default)
        }

    @property
    def written(self) -> str:
        """The constructor arguments that differ from their defaults, as Python code."""
        return ", ".join(f"{name}={source(value)}" for name, value in self.moved.items())


def move_weights(layer: keras.layers.Layer, seed: int) -> None:
    """Move every float weight by a seeded draw, because zero biases and unit gains hide errors."""
    generator = np.random.default_rng([seed, 977])
    for weight in layer.weights:
        value = compat.array(weight)
        if np.issubdtype(value.dtype, np.floating):
            step = generator.normal(size=value.shape, scale=0.3)
            moved = value + (step if weight.trainable else np.abs(step))
            weight.assign(compat.tensor(moved.astype(value.dtype)))


def draw(
    generator: np.random.Generator, kind: str, shape: Sequence[int], tensor: Tensor
) -> np.ndarray:
    """Input values of one kind. Except for `ties`, floats are continuous, so that they miss kinks."""
    if tensor.dtype == "bool":
        return generator.random(shape) < 0.5
    if not tensor.floating:
        low, high = int(tensor.low or 0), int(tensor.high or 0)
        drawn = generator.integers(low, high, shape)
        whole = np.full(shape, low) if kind == "zeros" else drawn
        return (np.sort(whole, axis=-1) if kind == "sorted" else whole).astype(tensor.dtype)
    if tensor.low is not None and tensor.high is not None:
        return generator.uniform(tensor.low, tensor.high, shape).astype(tensor.dtype)
    if kind in ("zeros", "ones"):
        return np.full(shape, kind == "ones", tensor.dtype)
    x = generator.normal(size=shape)
    if kind == "large":
        x = x * 30
    elif kind == "small":
        x = x * 1e-2
    elif kind == "ties":
        x = np.round(x)
    elif kind == "sorted":
        x = np.sort(x, axis=-1)
    return x.astype(tensor.dtype)


def card_of(layer: keras.layers.Layer, inputs: Any, traits: Traits | None = None) -> Card:
    """A card for an instance, with its constructor arguments and axis letters for the given shapes.

    Args:
        layer: The instance. It stays unchanged: the checks make new layers like it.
        inputs: A shape with the batch first; or an example array with the shape, dtype and range to use; or
            axis letters or a `Tensor`, for which the kit chooses sizes; or a list or dict of these. If `call`
            has several arguments, a dict by their names.
        traits: What the layer claims. Default: only what every layer must satisfy.

    Raises:
        ValueError: a shape is missing or is not a tuple of positive integers.
    """
    letters = iter("ijklmnopqruvwfgh")
    sizes: dict[str, int] = {}

    def described(node, path):
        if isinstance(node, str | Tensor):
            return node
        if hasattr(node, "dtype"):
            whole = np.asarray(node)
            if np.issubdtype(whole.dtype, np.integer):
                low, high = int(whole.min(initial=0)), int(whole.max(initial=1)) + 1
                return Tensor(axes(whole.shape, path), str(whole.dtype), low, high)
            return Tensor(axes(whole.shape, path), str(whole.dtype).replace("64", "32"))
        if isinstance(node, dict) and node:
            return {name: described(inner, f"{path}.{name}") for name, inner in node.items()}
        if isinstance(node, list | tuple) and node and not isinstance(node[0], int | None):
            return [described(inner, f"{path}.{place}") for place, inner in enumerate(node)]
        return Tensor(axes(node, path))

    def axes(shape, path):
        sound = isinstance(shape, tuple | list) and len(shape) > 0
        if not sound or not all(isinstance(size, int) and size > 0 for size in shape):
            raise ValueError(
                "`inputs` must be a shape of positive integers, an example array, axis letters, or a "
                "list or dict of these. If `call` has several arguments, it must be a dict by their names. "
                f"Received: {path}={shape!r}"
            )
        own = ["b", *(next(letters) for _ in shape[1:])]
        sizes.update(zip(own[1:], shape[1:], strict=True))
        return " ".join(own)

    if isinstance(inputs, dict):
        tensors = {name: described(each, name) for name, each in inputs.items()}
    else:
        tensors = described(inputs, "inputs")
    arguments = compat.constructor_arguments(layer)
    return Card(
        layer=type(layer),
        inputs=tensors,
        configs=lambda pick: compat.made_anew(arguments),
        dims=lambda pick, config: sizes,
        traits=traits or Traits(),
        instance=layer,
    )
