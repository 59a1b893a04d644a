"""A card: what the catalogue, the kit, the command line and the pages must know of a layer."""

import importlib
import pkgutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import keras

T = TypeVar("T")
Config = dict[str, Any]
Pick = Callable[[Sequence[T]], T]
"""Given some options, gives one of them. Hypothesis picks in the kit, the first is picked on a page."""


@dataclass(frozen=True)
class Tensor:
    """One input tensor: its axes, and what its values are.

    Attributes:
        axes: Axis letters, as in `"b t d"`; `"b"` is the batch.
        dtype: A float type, an integer type, or `"bool"`.
        low: The least value; floats are spread evenly from `low` to `high` where both are given.
        high: Integers stay below it, floats too. Integers need it.
    """

    axes: str
    dtype: str = "float32"
    low: float | None = None
    high: float | None = None

    def __post_init__(self):
        if "int" in self.dtype and self.high is None:
            raise ValueError(
                f"A tensor of integers needs `high`, below which they are. Received: {self!r}"
            )

    @property
    def letters(self) -> list[str]:
        """The axis letters one by one."""
        return self.axes.split()

    @property
    def floating(self) -> bool:
        """Whether the values are floats, in which one may differentiate."""
        return "float" in self.dtype


@dataclass(frozen=True)
class Traits:
    """What a layer claims beyond the properties that every layer must have.

    A claim holds in both directions: what is declared true must hold, what is declared false must be
    refuted by some sample, and None is not tested and is listed as undeclared. Each claim is a value, or
    a function that gives the value for a config; a claim that is itself a function of NumPy arrays is
    given inside a dict or, for `reference` and `surrogate`, as it is.

    Attributes:
        masking: `"propagates"`: padding changes no valid output and the mask is passed on.
            `"consumes"`: padding changes no output at all and no mask is left.
            `"passes"`: the mask is passed on, and what padding does is up to a wrapped layer.
            A dict of these by the names of inputs where several may be padded; what another input than
            the first "consumes" changes no output.
        dynamic: Axis letters whose size may be unknown, as in `"b t"`.
        zero_batch: Whether a batch of no samples gives an output of no samples.
        causal: No output depends on a later step. The axis is `t`.
        reach: How many earlier and how many later steps of `t` an output depends on, as in `(2, 0)`.
        equivariant: By a name in words, two functions of an array: what happens to the first input, and
            what then happens to each output, as in `{"steps reversed": (reverse, reverse)}`.
        conserves: By a name in words, a function of the first input and the first output whose result is
            zero, as in `{"rows sum to one": lambda x, y: y.sum(-1) - 1}`.
        reference: A function of the layer and the input arrays, in float64, which gives the outputs.
        stochastic: Training draws random numbers that change the outputs.
        noise: Mean and variance of the outputs in training where every input is one, as in `(1, 0.25)`.
        train_differs: Training computes something else than inference, without drawing anything.
        couples_batch: The samples of a batch influence each other: `"training"`, `"always"` or None.
        state: When a call changes the layer's own variables: `"training"`, `"always"` or None.
        differentiable: `"smooth"`, `"kinked"` where a point without derivative can be met, or `"none"`
            where no gradient reaches the inputs.
        twice_differentiable: The gradient has a derivative too.
        surrogate: A function of the layer and its input tensors, by name, of which the layer's gradient
            is the derivative instead of its own.
        dead: Patterns of paths of weights and inputs whose gradient is zero by theory; they must stay dead.
        losses: How many losses a call adds.
    """

    masking: Any = None
    dynamic: Any = "b"
    zero_batch: Any = True
    causal: Any = None
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
    surrogate: Callable | None = None
    dead: Any = ()
    losses: Any = None

    def __new__(cls, *_, **claims):
        """Refuse a claim that there is not, which dataclasses would not explain."""
        unknown = set(claims) - set(cls.__dataclass_fields__)
        if unknown:
            raise TypeError(
                f"A trait must be one of {', '.join(cls.__dataclass_fields__)}. "
                f"Received: {', '.join(sorted(unknown))}"
            )
        return super().__new__(cls)

    def under(self, config: Config) -> "Traits":
        """The same claims with every function of the config replaced by its value for this config.

        Raises:
            ValueError: a claim has a value that means nothing.
        """
        claims = {
            name: value(config) if callable(value) and name not in FUNCTIONS else value
            for name, value in vars(self).items()
        }
        for name, allowed in ALLOWED.items():
            values = claims[name].values() if isinstance(claims[name], Mapping) else [claims[name]]
            for value in values:
                if value not in allowed:
                    raise ValueError(
                        f"The trait `{name}` must be one of {', '.join(map(repr, allowed))}. "
                        f"Received: {name}={value!r}"
                    )
        return Traits(**claims)


FUNCTIONS = ("reference", "surrogate")
"""The traits that are themselves functions."""

ALLOWED: dict[str, tuple] = {
    "masking": (None, "propagates", "consumes", "passes"),
    "couples_batch": (None, "training", "always"),
    "state": (None, "training", "always"),
    "differentiable": ("smooth", "kinked", "none"),
}
"""The values of the traits that are words."""


@dataclass(frozen=True)
class Peer:
    """What a user would take instead of a layer, and the work at which the two are measured.

    A work gives axis sizes by letter, as in `dict(b=8, t=128, d=256)`. Two other keys have a meaning:
    `jit` compiles the step with XLA, and `alone` leaves the peer out. Any further key is a setting, and is
    passed to `layer` and `peer`.

    Attributes:
        instead: What the peer is, in a line.
        work: The works of an ordinary run.
        layer: Given the sizes, and the settings by name, makes the layer of the card.
        peer: Likewise, makes what one would use instead.
        long: The works of a long run, which also looks at peak memory.
        operations: Given the work by name, counts the multiplications and additions that a training step
            cannot do without.
    """

    instead: str
    work: Sequence[Mapping[str, Any]]
    layer: Callable[..., keras.layers.Layer]
    peer: Callable[..., keras.layers.Layer]
    long: Sequence[Mapping[str, Any]] = ()
    operations: Callable[..., int] | None = None


def no_dims(pick: Pick, config: Config) -> dict[str, int]:
    """The `dims` of a card whose axis sizes are free."""
    return {}


@dataclass(frozen=True)
class Card:
    """What the catalogue, the kit, the command line and the pages must know of a layer.

    Attributes:
        layer: The class.
        inputs: Axis letters of a float input, as in `"b t d"`, or a `Tensor`, or a list or dict of them
            for a call that takes such a structure. For a call with several arguments, a dict of these by
            the arguments' names, so that a dict as the only argument reads `{"inputs": {...}}`. Or a
            function that gives any of these for a config.
        configs: Given `pick`, the constructor arguments. The first option of every pick makes the plain
            layer; together the options move every argument off its default.
        dims: Given `pick` and the config, sizes of axis letters that the config fixes.
        traits: What the layer claims.
        errors: Configs that the constructor must refuse.
        expected_failures: Reasons by the id of a property that does not hold, as in `{"X1@torch": "..."}`;
            it must go on failing.
        paper: arXiv id or address.
        year: Year of the paper.
        tags: Words to find it by.
        peer: What a user would take instead, which `layerzoo bench` measures beside the layer.
    """

    layer: type[keras.layers.Layer]
    inputs: Any
    configs: Callable[[Pick], Config] = lambda pick: {}
    dims: Callable[[Pick, Config], dict[str, int]] = no_dims
    traits: Traits = field(default_factory=Traits)
    errors: Sequence[Config] = ()
    expected_failures: Mapping[str, str] = field(default_factory=dict)
    paper: str = ""
    year: int | None = None
    tags: Sequence[str] = ()
    peer: Peer | None = None

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
            raise ValueError(
                f"The card of `{self.name}` must have inputs, and may name in `dynamic` only letters of "
                f"them. Received: dynamic={dynamic!r}, inputs={self.inputs!r}"
            )

    @property
    def name(self) -> str:
        """The name of the class."""
        return self.layer.__name__

    @property
    def family(self) -> str:
        """The folder that the layer lives in: `attention`, `residual`, `gated`, or a plug-in's name."""
        package, *folders = self.layer.__module__.split(".")
        return folders[0] if package == "layerzoo" and folders else package

    def tensors(self, config: Config) -> dict[str, Tensor]:
        """Each input tensor by its path: the argument's name, then places in a structure, by dots."""
        inputs = self.inputs(config) if callable(self.inputs) else self.inputs
        arguments = inputs if isinstance(inputs, Mapping) else {"inputs": inputs}
        return dict(_leaves(arguments))

    @property
    def axes(self) -> dict[str, list[str]]:
        """The axis letters of each input tensor of the plain layer, by its path."""
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
    """The `CARD` of each module in a package, so that a new layer adds a file and edits none.

    A module whose name starts with `_` holds what several cards share, and is skipped.

    Args:
        package: The package's name, as in `cards_in("my_layers.cards")`. The package may call this while
            it is imported: `CARDS = cards_in(__name__)`.
    """
    modules = pkgutil.iter_modules(importlib.import_module(package).__path__)
    names = [module.name for module in modules if not module.name.startswith("_")]
    return [importlib.import_module(f"{package}.{name}").CARD for name in names]
