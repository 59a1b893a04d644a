"""A card: what the catalogue, the kit, the command line and the pages need to know about a layer."""

import importlib
import pkgutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import keras

T = TypeVar("T")
Config = dict[str, Any]
Pick = Callable[[Sequence[T]], T]
"""Picks one of several options. The kit lets Hypothesis pick; pages pick the first."""


class CardError(ValueError):
    """A card contradicts itself, or leaves out what it must say. The message names it."""


@dataclass(frozen=True)
class Tensor:
    """One input tensor: its axes and its range of values.

    Attributes:
        axes: Axis letters, as in `"b t d"`. `"b"` is the batch.
        dtype: A float type, an integer type, or `"bool"`.
        low: The smallest value. If both `low` and `high` are given, floats are uniform between them.
        high: Exclusive upper bound of the values. Required for integers.
    """

    axes: str
    dtype: str = "float32"
    low: float | None = None
    high: float | None = None

    def __post_init__(self):
        if "int" in self.dtype and self.high is None:
            raise CardError(
                "A tensor of integers needs `high`, the exclusive upper bound of its values. "
                f"Received: {self!r}"
            )

    @property
    def letters(self) -> list[str]:
        """The axis letters, as a list."""
        return self.axes.split()

    @property
    def floating(self) -> bool:
        """Whether the values are floats, so that gradients exist."""
        return "float" in self.dtype


@dataclass(frozen=True)
class Traits:
    """What a layer claims beyond the properties that every layer must have.

    Each claim is tested in both directions. A claim declared true must hold. A claim declared false must be
    refuted by some sample. None means that nothing is claimed: it is not tested, and it is listed as
    undeclared.

    A claim is a value, or a function that returns the value for a config. A claim that is itself a function
    of NumPy arrays goes inside a dict. Only `reference` and `surrogate` are given as plain functions.

    Attributes:
        masking: `"propagates"`: padding changes no valid output, and the mask is passed on.
            `"consumes"`: padding changes no output at all, and no mask is left.
            `"passes"`: the mask is passed on, and a wrapped layer decides what padding does.
            If several inputs can be padded, a dict of these by input name. For inputs other than the first,
            `"consumes"` means that their padding changes no output.
        strict_masks: Whether a mask of another shape than the first two axes of its input, or with other
            numbers than 0 and 1, raises a `ValueError` that names it. Without that it may be broadcast.
            Masks are the arguments `mask`, for the first input, and `<input>_mask`.
        dynamic: Axis letters whose size may be unknown, as in `"b t"`.
        zero_batch: Whether an empty batch gives an empty output.
        causal: Whether every output is independent of later steps. The time axis is `t`.
        continues: Whether the layer continues from a state: `get_initial_state(batch_size, length=None)`
            returns one, and a call with `initial_state` and `return_state=True` returns `(outputs, state)`,
            so that a sequence in parts gives what it gives in one call. If false, a state is refused.
        reach: How many earlier and how many later steps of `t` an output depends on, as in `(2, 0)`.
        equivariant: For each description, two functions of an array: what to do to the first input, and
            what then happens to each output, as in `{"steps reversed": (reverse, reverse)}`.
        conserves: For each description, a function of the first input and the first output whose result is
            zero, as in `{"rows sum to one": lambda x, y: y.sum(-1) - 1}`.
        reference: A function of the layer and its input arrays, in float64, that returns the outputs.
        stochastic: Whether training draws random numbers that change the outputs.
        noise: Mean and variance of the training outputs if every input is one, as in `(1, 0.25)`.
        train_differs: Whether training and inference compute different things without any randomness.
        couples_batch: When the samples of a batch influence each other: `"training"`, `"always"` or None.
        state: When a call changes the layer's own variables: `"training"`, `"always"` or None.
        differentiable: `"smooth"`; `"kinked"` if some points have no derivative; `"none"` if no gradient
            reaches the inputs.
        twice_differentiable: Whether the gradient has a derivative too.
        identity_at_start: Whether a new layer returns its first input exactly, at inference, and a gradient
            moves it off that. A layer without trainable weights only has to return its input.
        surrogate: A function of the layer and its input tensors, by name. The layer's gradient is the
            derivative of this function instead of its own.
        dead: Patterns for the paths of weights and inputs whose gradient is zero in theory. It must stay
            zero.
        losses: How many losses a call adds.
    """

    masking: Any = None
    strict_masks: Any = None
    dynamic: Any = "b"
    zero_batch: Any = True
    causal: Any = None
    continues: Any = None
    reach: Any = None
    equivariant: Any = field(default_factory=dict)
    conserves: Any = field(default_factory=dict)
    reference: Callable | None = None
    stochastic: Any = False
    noise: Any = None
    train_differs: Any = False
    couples_batch: Any = None
    state: Any = None
    differentiable: Any = "smooth"
    twice_differentiable: Any = None
    identity_at_start: Any = None
    surrogate: Callable | None = None
    dead: Any = ()
    losses: Any = None

    def __new__(cls, *_, **claims):
        """Reject unknown claims with a list of the known ones, which a dataclass would not give."""
        unknown = set(claims) - set(cls.__dataclass_fields__)
        if unknown:
            raise TypeError(
                f"A trait must be one of {', '.join(cls.__dataclass_fields__)}. "
                f"Received: {', '.join(sorted(unknown))}"
            )
        return super().__new__(cls)

    def under(self, config: Config) -> "Traits":
        """The same claims, with every function of the config replaced by its value for this config.

        Raises:
            CardError: if the value of a claim is not allowed.
        """
        claims = {
            name: value(config) if callable(value) and name not in FUNCTIONS else value
            for name, value in vars(self).items()
        }
        for name, allowed in ALLOWED.items():
            values = claims[name].values() if isinstance(claims[name], Mapping) else [claims[name]]
            for value in values:
                if value not in allowed:
                    raise CardError(
                        f"The trait `{name}` must be one of {', '.join(map(repr, allowed))}. "
                        f"Received: {name}={value!r}"
                    )
        return Traits(**claims)


FUNCTIONS = ("reference", "surrogate")
"""The traits whose values are functions."""

ALLOWED: dict[str, tuple] = {
    "masking": (None, "propagates", "consumes", "passes"),
    "couples_batch": (None, "training", "always"),
    "state": (None, "training", "always"),
    "differentiable": ("smooth", "kinked", "none"),
}
"""The allowed values of the traits whose values are words."""


@dataclass(frozen=True)
class Peer:
    """What a user would take instead of a layer, and the workloads on which the two are measured.

    A workload gives axis sizes by letter, as in `dict(b=8, t=128, d=256)`. Three other keys have a meaning:
    `jit` compiles the step with XLA, `alone` leaves out the peer, and `instead` is another peer than the
    usual one, which `peer` gets as a setting. It begins with the package that it needs, if that is not Keras.
    Any other key is a setting and is passed to `layer` and `peer`.

    Attributes:
        instead: What the peer is, in one line.
        work: The workloads of an ordinary run.
        layer: A function of the sizes, and of the settings by name, that makes the layer of the card.
        peer: The same for what a user would take instead.
        long: The workloads of a long run, which also measures peak memory.
        operations: A function of the workload, by name. It counts the multiplications and additions that a
            training step must do.
    """

    instead: str
    work: Sequence[Mapping[str, Any]]
    layer: Callable[..., keras.layers.Layer]
    peer: Callable[..., keras.layers.Layer]
    long: Sequence[Mapping[str, Any]] = ()
    operations: Callable[..., int] | None = None


def no_dims(pick: Pick, config: Config) -> dict[str, int]:
    """The `dims` of a card that fixes no axis size."""
    return {}


def no_failing_exports(config: Config) -> Mapping[str, str]:
    """The `failing_exports` of a card whose exports are all right."""
    return {}


@dataclass(frozen=True)
class Card:
    """What the catalogue, the kit, the command line and the pages need to know about a layer.

    Attributes:
        layer: The class.
        inputs: The axis letters of a float input, as in `"b t d"`, or a `Tensor`. If the call takes a list
            or dict of tensors, a list or dict of these. If the call takes several arguments, a dict by
            argument name. A single argument that is itself a dict is therefore written
            `{"inputs": {...}}`. Can also be a function that returns any of these for a config.
        configs: A function of `pick` that returns the constructor arguments. The first option of every pick
            makes the plain layer. Together, the options move every argument off its default.
        dims: A function of `pick` and the config that returns the axis sizes which the config fixes.
        traits: What the layer claims.
        errors: Configs that the constructor must refuse.
        expected_failures: The reason for each property that does not hold, by its id, as in
            `{"X1@torch": "..."}`. The property must keep failing.
        expected_inconclusive: The reason for each property that can be neither shown nor refuted, by its
            id, in the same way. The property must stay inconclusive. Without a reason here, an
            inconclusive property fails a run.
        failing_exports: A function of the config that returns the reason for each export that fails with
            it, by Keras's name of the format and the backend, as in `{"onnx@tensorflow": "..."}`. With
            `"onnx@tensorflow, free sizes"` or `"..., fixed sizes"`, only such files fail. The export must
            keep failing.
        inert: The reason for each constructor argument that changes nothing that the kit can see, by its
            name. It must keep changing nothing.
        paper: arXiv id or URL.
        year: Year of the paper.
        paper_title: Title of the paper. With a title, authors and a year, the page ends with a BibTeX entry.
        paper_authors: Authors of the paper, as BibTeX lists them: `"Ada Lovelace and Alan Turing"`.
        tags: Words to find the layer by.
        aliases: Other names of the layer, as in `"GQA"`. A name with dots is what another library calls it,
            as in `"torch.nn.MultiheadAttention"`.
        peer: What a user would take instead. `layerzoo bench` measures the layer against it.
        weights_from: By the name of a package, the function that copies the weights of its module into the
            layer: `copy(theirs, layer)`, of a built layer. The page shows its source, and a test runs it.
        boxes: Words for the boxes of the picture, by the name of a layer inside, a weight, an operation, a
            function or a method. A function or method named here gets a box of its own, unless it runs a
            layer.
        instance: The instance that the card was made for. `check_layer` fills it in; a written card has none.
    """

    layer: type[keras.layers.Layer]
    inputs: Any
    configs: Callable[[Pick], Config] = lambda pick: {}
    dims: Callable[[Pick, Config], dict[str, int]] = no_dims
    traits: Traits = field(default_factory=Traits)
    errors: Sequence[Config] = ()
    expected_failures: Mapping[str, str] = field(default_factory=dict)
    expected_inconclusive: Mapping[str, str] = field(default_factory=dict)
    failing_exports: Callable[[Config], Mapping[str, str]] = no_failing_exports
    inert: Mapping[str, str] = field(default_factory=dict)
    paper: str = ""
    year: int | None = None
    paper_title: str = ""
    paper_authors: str = ""
    tags: Sequence[str] = ()
    aliases: Sequence[str] = ()
    peer: Peer | None = None
    weights_from: Mapping[str, Callable[..., None]] = field(default_factory=dict)
    boxes: Mapping[str, str] = field(default_factory=dict)
    instance: keras.layers.Layer | None = None

    def __post_init__(self):
        if not (isinstance(self.layer, type) and issubclass(self.layer, keras.layers.Layer)):
            raise TypeError(
                "A card's `layer` must be a subclass of `keras.layers.Layer`. "
                f"Received: layer={self.layer!r}"
            )
        if not (callable(self.inputs) or callable(self.traits.dynamic)):
            self._demand_known(self.tensors({}), self.traits.dynamic)

    def _demand_known(self, tensors: dict[str, Tensor], dynamic: str) -> None:
        letters = {letter for tensor in tensors.values() for letter in tensor.letters}
        if not tensors or set(dynamic.split()) - letters - {"b"}:
            raise CardError(
                f"The card of `{self.name}` must have inputs, and `dynamic` must name only axis letters "
                f"of these inputs. Received: dynamic={dynamic!r}, inputs={self.inputs!r}"
            )

    @property
    def name(self) -> str:
        """The name of the class."""
        return self.layer.__name__

    @property
    def family(self) -> str:
        """The folder of the layer, such as `attention` or `residual`, or the package of a plug-in."""
        package, *folders = self.layer.__module__.split(".")
        return folders[0] if package == "layerzoo" and folders else package

    def tensors(self, config: Config) -> dict[str, Tensor]:
        """Each input tensor by its path: the argument's name, then keys or indices, joined by dots."""
        inputs = self.inputs(config) if callable(self.inputs) else self.inputs
        arguments = inputs if isinstance(inputs, Mapping) else {"inputs": inputs}
        return dict(_leaves(arguments))

    @property
    def axes(self) -> dict[str, list[str]]:
        """The axis letters of each input tensor of the plain layer, by path."""
        plain = self.configs(lambda options: next(iter(options)))
        return {path: tensor.letters for path, tensor in self.tensors(plain).items()}

    @property
    def summary(self) -> str:
        """The first line of the layer's docstring."""
        return (self.layer.__doc__ or "").strip().split("\n")[0]


def _leaves(inputs, path: str = "") -> Iterator[tuple[str, Tensor]]:
    if isinstance(inputs, str):
        inputs = Tensor(inputs)
    if isinstance(inputs, Tensor):
        yield path, inputs
        return
    items = inputs.items() if isinstance(inputs, Mapping) else enumerate(inputs)
    for key, inner in items:
        yield from _leaves(inner, f"{path}.{key}" if path else str(key))


def cards_in(package: str) -> list[Card]:
    """The `CARD` of each module in a package. A new layer adds a module and edits none.

    A module whose name starts with `_` holds code that several cards share, and is skipped.

    Args:
        package: Name of the package, as in `cards_in("my_layers.cards")`. The package may call this during
            its own import: `CARDS = cards_in(__name__)`.
    """
    modules = pkgutil.iter_modules(importlib.import_module(package).__path__)
    names = [module.name for module in modules if not module.name.startswith("_")]
    return [importlib.import_module(f"{package}.{name}").CARD for name in names]
