"""Towards the caller: every form of call works, nothing passed in is changed, wrong input is refused."""

import contextlib
import copy
import functools
import inspect
import io
import re
import sys
import tempfile
import textwrap
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import keras
import numpy as np

from layerzoo.tensors import compat
from layerzoo.tensors.outcomes import NotApplicable
from layerzoo.testing.engine.case import Case
from layerzoo.testing.engine.comparison import EXACT, SAME, Comparison, Evidence, Fact
from layerzoo.testing.engine.register import declare


@declare(
    "L3",
    tier="trait",
    cost="fair",
    hint=(
        "Usually `list(inputs.values())` or a loop over a dict, whose order is the caller's: take each "
        "tensor by its name. Otherwise `isinstance(inputs, list)`, which is False for a tuple, or a "
        "`build` that relies on an order."
    ),
)
def nested_structures(case: Case) -> Evidence:
    """A call gives the same by keyword or position, with reordered dicts, and with tuples for lists."""
    if case.sequential:
        raise NotApplicable("the call takes one tensor")
    layer = case.built()
    arrays = case.arrays(values="normal")
    due = case.call(layer, arrays, training=False)
    for form, positional, keywords in _forms(layer, arrays):
        new = case.make()
        with case.resting(layer), case.resting(new):
            new(*positional, **keywords, training=False)
        made, known = ([tuple(w.shape) for w in each.weights] for each in (new, layer))
        yield Fact(made == known, f"built           {form}: {made}\notherwise       {known}")
        new.set_weights(layer.get_weights())
        for subject, which in ((layer, "the same layer"), (new, "a layer built that way")):
            with case.resting(subject):
                outputs = subject(*positional, **keywords, training=False)
            found, expected = _skeleton(outputs), _skeleton(due)
            what = f"outputs {form}: {found}\notherwise       {expected}"
            yield Fact(found == expected, what)
            for index, (a, e) in enumerate(
                zip(compat.flat(outputs), compat.flat(due), strict=True)
            ):
                what = f"output {index}        of {which} called {form}, and called as in the card"
                yield Comparison(a, e, SAME, what)


@declare(
    "L4",
    hint=(
        "Usually an in-place operation: `x += 1`, `pop` on a dict, or `append` to a list that the caller "
        "owns. Make a new object: `x = x + 1`, `dict(config)`, `list(layers)`."
    ),
)
def input_untouched(case: Case) -> Evidence:
    """Neither a call nor the constructor changes the caller's arrays, tensors, masks or configs."""
    layer = case.built()
    arrays = case.arrays()
    kept = copy.deepcopy(arrays)
    tensors = {path: compat.tensor(a) for path, a in arrays.items()}
    for training in (False, True):
        for given, form in ((arrays, "array"), (tensors, "tensor")):
            packed = compat.packed(given)
            before = _copied(packed)
            first, *others = packed.items()
            layer(first[1], **dict(others), training=training)
            yield Fact(
                _same(packed, before),
                f"inputs          a list or dict of the caller was changed\n"
                f"before the call {before}\nafter it        {packed}",
            )
            for path, value in given.items():
                what = f"{form:<16}{path} after a call, and before"
                yield Comparison(compat.array(value), kept[path], EXACT, what)
    yield from _mask_stays(case, layer, tensors)
    config = case.config
    kept_config = _copied(config)
    case.card.layer(**config)
    yield Fact(
        _same(config, kept_config),
        f"config          before the constructor {kept_config}\nafter it        {config}",
    )


@declare(
    "L6",
    tier="should",
    hint=(
        "Declare in `build` what the layer accepts, `self.input_spec = InputSpec(min_ndim=2, axes={-1: "
        "size})`. Check arguments in `__init__`, before anything is changed."
    ),
)
def errors(case: Case) -> Evidence:
    """Bad arguments raise ValueError or TypeError; inputs that do not fit are refused before any change."""
    for config in case.card.errors:
        error = _error(case.card.layer, **config)
        yield Fact(
            isinstance(error, ValueError | TypeError),
            f"arguments       {config}\noutcome         {_outcome(error)}",
            "Check the argument in `__init__` and raise ValueError or TypeError.",
        )
    layer, first = case.built(), case.first
    if not _depends_on_last_axis(case, layer):
        if case.card.errors:
            return
        raise NotApplicable("no weight depends on the last axis, and no config is declared wrong")
    before = [compat.array(v) for v in layer.variables]
    wrong = {name: a.copy() for name, a in case.arrays().items()}
    wrong[first] = np.concatenate([wrong[first], wrong[first][..., :1]], axis=-1)
    error = _error(compat.call, layer, wrong)
    yield Fact(
        isinstance(error, (ValueError, TypeError, *compat.shape_errors())),
        f"input           {first}, built for {case.shapes()[first]}, called with {wrong[first].shape}\n"
        f"outcome         {_outcome(error)}",
    )
    after = [compat.array(v) for v in layer.variables]
    yield Fact(
        len(after) == len(before) and all(map(np.array_equal, after, before)),
        "variables       changed by a call that was refused",
    )


@declare(
    "L7",
    tier="should",
    cost="fair",
    hint=(
        "Usually a `__repr__` that reads what only `build` makes, a `count_params` that forgets a part, or "
        "a docstring example that no longer fits the arguments. The example is run exactly as written."
    ),
)
def repr_summary(case: Case) -> Evidence:
    """`repr`, a model's `summary` and `count_params` work, and the examples in the docstring run."""
    yield Fact(repr(case.make()), "repr            is empty before the first call")
    layer = case.built()
    yield Fact(repr(layer), "repr            is empty after the first call")
    lines: list[str] = []
    case.functional(layer).summary(
        line_length=200, print_fn=lambda line, **_: lines.append(line), expand_nested=True
    )
    summary, name = "\n".join(lines), type(layer).__name__
    yield Fact(name in summary, f"summary         does not name {name}\n{summary}")
    counted = layer.count_params()
    held = sum(int(np.prod(w.shape)) for w in layer.weights)
    yield Fact(counted == held, f"count_params    {counted}, but the weights hold {held} numbers")
    cls: type = case.card.layer
    trouble = _example_trouble(cls)
    yield Fact(not trouble, f"docstring       an example raised {trouble}")


def _forms(
    layer: keras.layers.Layer, arrays: dict[str, np.ndarray]
) -> Iterator[tuple[str, tuple, dict]]:
    """Other ways to write the same call, each as a description, positional arguments and keywords."""
    parameters = list(inspect.signature(layer.call).parameters)
    arguments = compat.packed(arrays)
    named = dict(zip([parameters[0], *list(arguments)[1:]], arguments.values(), strict=True))
    yield "by keyword", (), named
    if len(named) > 1:
        yield "by keyword in another order", (), dict(reversed(named.items()))
        if parameters[: len(named)] == list(named):
            yield "by position", tuple(named.values()), {}
    first, *others = named
    for words, other in (("with dicts in another order", _turned), ("with tuples", _tupled)):
        changed = {name: other(value) for name, value in named.items()}
        if repr(changed) != repr(named):
            yield words, (changed[first],), {name: changed[name] for name in others}


def _turned(node: Any) -> Any:
    """Nested dicts in the reversed order."""
    if isinstance(node, dict):
        return {name: _turned(node[name]) for name in reversed(node)}
    return list(map(_turned, node)) if isinstance(node, list) else node


def _tupled(node: Any) -> Any:
    """The same with tuples in place of lists."""
    if isinstance(node, dict):
        return {name: _tupled(inner) for name, inner in node.items()}
    return tuple(map(_tupled, node)) if isinstance(node, list) else node


def _skeleton(outputs: Any) -> Any:
    """The structure of outputs, without their values."""
    return keras.tree.map_structure(lambda _: "tensor", outputs)


def _copied(node: Any) -> Any:
    """The same leaves in new lists and dicts."""
    if isinstance(node, dict):
        return {name: _copied(inner) for name, inner in node.items()}
    return list(map(_copied, node)) if isinstance(node, list) else node


def _same(a: Any, b: Any) -> bool:
    """Whether two structures hold the same objects."""
    if isinstance(a, dict) and isinstance(b, dict):
        return list(a) == list(b) and all(_same(a[name], b[name]) for name in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(_same, a, b))
    return a is b


def _mask_stays(case: Case, layer: keras.layers.Layer, tensors: dict[str, Any]) -> Evidence:
    """A tensor still has its mask after a call, because another layer may take it next."""
    masking = case.traits.masking
    named = masking if isinstance(masking, Mapping) else {case.first: masking}
    if not named.get(case.first) or len(case.tensors[case.first].letters) < 2:
        return
    mask = compat.tensor(np.ones(case.shapes()[case.first][:2], bool))
    compat.call(layer, tensors, {case.first: mask})
    yield Fact(
        compat.mask_of(tensors[case.first]) is not None,
        f"tensor          {case.first} had a mask before the call but has none after it",
    )


def _depends_on_last_axis(case: Case, layer: keras.layers.Layer) -> bool:
    """Whether the layer's weights change shape if the last axis has one more entry."""
    shapes = case.shapes()
    shapes[case.first] = (*shapes[case.first][:-1], shapes[case.first][-1] + 1)
    wider = case.make()
    try:
        case.build(wider, shapes)
    except Exception:  # one more entry is not allowed at all
        return False
    return [w.shape for w in wider.weights] != [w.shape for w in layer.weights]


def _error(function: Callable[..., object], *args, **kwargs) -> Exception | None:
    """What a function raises."""
    try:
        function(*args, **kwargs)
    except Exception as error:
        return error
    return None


def _outcome(error: Exception | None) -> str:
    """The type of an error and the first line of its message."""
    if error is None:
        return "no error"
    first, *_ = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {first[:200]}"


@functools.cache
def _example_trouble(cls: type) -> str:
    """What the fenced examples in a class's docstring raise, each run by itself; empty if nothing.

    Keras's exports, the class, its module and its package are predefined, because some examples leave out
    imports. A docstring that is the base class's is left to the base class.
    """
    package = cls.__module__.split(".")[0]
    known = {**vars(sys.modules[cls.__module__])} if cls.__module__ in sys.modules else {}
    known |= {**vars(keras.layers), **vars(keras), "keras": keras, "np": np, cls.__name__: cls}
    known[package] = sys.modules.get(package)
    if any(cls.__doc__ == base.__doc__ for base in cls.__mro__[1:]):
        return ""  # it is about the base class
    text = inspect.cleandoc(cls.__doc__ or "")
    for example in re.findall(r"```(?:python|py)\n(.*?)```", text, re.DOTALL):
        if ".load_data(" in example:
            continue  # it would fetch a data set
        try:
            with (
                contextlib.redirect_stdout(io.StringIO()),
                tempfile.TemporaryDirectory() as folder,
                contextlib.chdir(folder),  # some examples save a file
            ):
                exec(textwrap.dedent(example), dict(known))
        except ModuleNotFoundError:  # the package is not installed
            continue
        except Exception as error:
            return f"{_outcome(error)}\n{textwrap.indent(example, '    ')}"
    return ""
