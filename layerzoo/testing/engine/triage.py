"""Triage: which properties come first, when two errors are one, and the hint that fits an error."""

import inspect
import re
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import keras

from layerzoo.tensors import compat
from layerzoo.testing.engine.register import Property
from layerzoo.testing.engine.report import place

if TYPE_CHECKING:
    from layerzoo.testing.engine.case import Case


BASE = ("name", "dtype", "trainable")
"""The arguments of Keras's base class, which every constructor must accept."""

MISSING = re.compile(r"(?:(\w+)\(\) )?missing (?:a|\d+) required (?:[\w-]+ )*arguments?: ('\w+'.*)")
UNREGISTERED = re.compile(r"Could not locate class '([^']*)'")
UNEXPECTED = re.compile(r"(\w+)\.__init__\(\) got an unexpected keyword argument '(\w+)'")

COMPARING = ("gradient", "independence", "mask", "randomness", "states")
"""The groups whose hints speak of a comparison, which an error prevents."""


def in_order(properties: Iterable[Property]) -> list[Property]:
    """The properties in the order in which they are checked."""
    return sorted(properties, key=lambda each: place(each.id))


def same_cause(layer: type[keras.layers.Layer], error: Exception) -> tuple[str, ...]:
    """What two errors of a layer have in common if they have one cause.

    This is the argument that a signature lacks or should not demand; otherwise the type of the error and the
    line of the layer that raised it; otherwise, if no line of the layer did, its type, place and message.
    """
    text = str(error)
    if (found := UNREGISTERED.search(text)) and isinstance(error, TypeError):
        return "unregistered", found[1]
    if (found := UNEXPECTED.search(text)) and isinstance(error, TypeError):
        return "unexpected", found[1], "" if found[2] in BASE else found[2]
    if (found := MISSING.search(text)) and isinstance(error, TypeError):
        return "missing", found[1] or "call", found[2]
    place = place_of(layer, error)
    if place.rpartition(":")[0] in _files(layer):
        return type(error).__name__, place
    return type(error).__name__, place, re.sub(r"\d+|0x\w+", "", _first_line(error))


def place_of(layer: type[keras.layers.Layer], error: Exception) -> str:
    """The innermost line in the layer's own files that led to the error, otherwise the innermost of all."""
    frames = traceback.extract_tb(error.__traceback__)
    files = _files(layer)
    own = [(frame.filename, str(frame.lineno)) for frame in frames if frame.filename in files]
    # the message of an error in TensorFlow's graph contains another trace
    own = own or [
        (file, line)
        for file, line in re.findall(r'File "([^"]+)", line (\d+)', str(error))
        if file in files
    ]
    file, line = own[-1] if own else (frames[-1].filename, str(frames[-1].lineno))
    return f"{file}:{line}"


def _first_line(error: Exception) -> str:
    """The first line of an error's own message, without what Keras puts before it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    own = [line for line in lines if not line.startswith("Exception encountered when calling")]
    return (own or lines or [""])[0]


def _files(layer: type[keras.layers.Layer]) -> set[str]:
    """The files of the layer's class and of those it inherits from, without those of Keras."""
    files = set()
    for each in layer.__mro__:
        if each is layer or each.__module__.split(".")[0] not in ("keras", "builtins"):
            try:
                files.add(inspect.getsourcefile(each) or "")
            except (TypeError, OSError):  # a class defined at a prompt has no file
                continue
    return files - {""}


@dataclass(frozen=True)
class Step:
    """Something that every property needs of a layer.

    Attributes:
        act: Does it, and raises what the layer raises.
        hint: What it means if this raises.
        shown: A line of Python that does the same, as `programs.snippet` takes it.
    """

    act: Callable[[], object]
    hint: str
    shown: str


def steps(case: "Case") -> Iterator[Step]:
    """Can the layer be made, built and called, as itself and as a model calls it, and written down?"""
    symbolic = "lambda x: keras.KerasTensor(x.shape, str(x.dtype))"
    arrays = case.arrays()
    yield Step(
        case.make,
        "The constructor raises this for arguments that it should accept: nothing else was looked at.",
        "make()",
    )
    yield Step(
        lambda: case.build(case.make()),
        "`build` raises this for the shapes of the inputs: nothing that is built was looked at.",
        "make().build(*shapes)",
    )
    for training in (False, True):
        yield Step(
            lambda training=training: case.call(case.make(), arrays, training=training),  # type: ignore[misc]
            f"A plain call with `training={training}` raises this: no output was looked at.",
            f"make()(**inputs, training={training})",
        )
    yield Step(
        lambda: compat.call(case.make(), compat.handed(case.make(), arrays)),
        "A call without `training` raises this, and a model calls its layers so.",
        "make()(**inputs)",
    )
    yield Step(
        lambda: compat.call(case.make(), case.symbols()),
        "A call with symbolic inputs raises this. Every Functional or Sequential model makes such a call: "
        "`call` must not need concrete numbers there.",
        f"make()(**keras.tree.map_structure({symbolic}, inputs))",
    )
    yield Step(
        lambda: case.make(name="subject"),
        "The constructor raises this if Keras gives it `name`, as it does when it reads a file.",
        'make(name="subject")',
    )
    yield Step(
        lambda: case.make().get_config(),
        "`get_config` raises this, and files, copies and clones need it.",
        "make().get_config()",
    )


def first_step(case: "Case", error: Exception) -> Step | None:
    """The first step that raises the same error, if one does."""
    due = same_cause(case.card.layer, error)
    for step in steps(case):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                step.act()
        except Exception as found:  # a layer can raise anything
            return step if same_cause(case.card.layer, found) == due else None
    return None


def hint_for(case: "Case", each: Property, error: Exception, step: Step | None) -> str:
    """The hint that fits an error: by its message, by the step that raises it, or the property's own.

    A property's own hint is left out if it speaks of a comparison, because none took place.
    """
    told = _by_message(case.card.layer, str(error)) if isinstance(error, TypeError) else ""
    if told:
        return told
    if step is not None:
        return step.hint
    return "" if each.group in COMPARING else each.hint


def _by_message(layer: type[keras.layers.Layer], text: str) -> str:
    if found := UNREGISTERED.search(text):
        return (
            f"Keras cannot find the class `{found[1]}` when it reads a config. Decorate it with "
            '`@keras.saving.register_keras_serializable(package="...")`.'
        )
    if found := UNEXPECTED.search(text):
        kind, name = found[1], found[2]
        if name in BASE:
            return (
                f"The signature of `{kind}.__init__` has no `**kwargs`, so Keras cannot give it `name`, "
                "`dtype` or `trainable`: add `**kwargs` and call `super().__init__(**kwargs)`."
            )
        return (
            f"The config has `{name}`, which the signature of `{kind}.__init__` does not take: take it "
            "there, or leave it out of `get_config`."
        )
    if (found := MISSING.search(text)) is None:
        return ""
    function, names = found[1] or "call", found[2].replace("'", "`").rstrip(".")
    if function == "__init__":
        return f"`get_config` does not return {names}, which the constructor's signature requires."
    taken = inspect.signature(layer.call).parameters
    if function != "call" or not any(f"`{name}`" in names for name in taken):
        return f"The signature of what is called here gives {names} no default: give it one, or pass it."
    default = " Write `training=None`." if names == "`training`" else ""
    return (
        f"The signature is `call{inspect.signature(layer.call)}`, in which {names} has no default. A model "
        f"calls a layer with its inputs alone, so each other argument needs one.{default}"
    )
