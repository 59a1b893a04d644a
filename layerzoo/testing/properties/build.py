"""Building: a layer makes all its state in one place, from shapes alone, where Keras finds it."""

import contextlib
import json
import re

import keras
import numpy as np

from layerzoo.tensors import compat
from layerzoo.testing.engine.case import Case
from layerzoo.testing.engine.comparison import SAME, Comparison, Evidence, Fact
from layerzoo.testing.engine.register import declare
from layerzoo.testing.properties.config import text


@declare(
    "B1",
    hint=(
        "Make every weight and every sub-layer in `__init__` or in `build`, and build each sub-layer "
        "there. What `call` makes is missing when weights are loaded."
    ),
)
def build_complete(case: Case) -> Evidence:
    """`build` makes exactly the variables that a first call makes, and a call after it adds none."""
    built, called = case.make(name="subject"), case.make(name="subject")
    case.build(built)
    case.call(called, case.arrays())
    by_build, by_call = _described(built), _described(called)
    yield Fact(built.built, "`built` is False after `build`")
    yield _same({"by `build`": by_build, "by a first call": by_call})
    case.call(built, case.arrays())
    yield _same({"by `build`": by_build, "after a call": _described(built)})


@declare(
    "B2",
    hint=(
        "JSON turns a shape into a list, and `build` must accept it: write `(*input_shape[:-1], n)` "
        "instead of `input_shape[:-1] + (n,)`. If you write your own `get_build_config`, it must hold "
        "everything that `build` needs."
    ),
)
def build_config(case: Case) -> Evidence:
    """A layer that is built from its build config, read back from JSON, has the same variables."""
    layer, revived = case.make(name="subject"), case.make(name="subject")
    case.build(layer)
    revived.build_from_config(json.loads(json.dumps(layer.get_build_config())))
    yield _same({"by `build`": _described(layer), "from the config": _described(revived)})


@declare(
    "B3",
    hint=(
        "Make variables with `self.add_weight`. Otherwise keep them, and the layers that hold them, as "
        "attributes, possibly in lists or dicts. Keras does not look into closures, sets or objects of "
        "other classes."
    ),
)
def state_tracked(case: Case) -> Evidence:
    """Every variable that the layer makes is listed in `variables`."""
    # made before, because a layer in the config may only be a template, as in Bidirectional
    config, arrays = case.config, case.arrays()
    with compat.recorded_variables() as made:
        layer = case.card.layer(**config)
        case.call(layer, arrays)
        case.call(layer, arrays, training=True)
    known = {id(variable) for variable in layer.variables}
    lost = [f"{v.path} {tuple(v.shape)}" for v in made if id(v) not in known]
    yield Fact(not lost, f"made and kept, but not in `layer.variables`: {', '.join(lost)}")


@declare(
    "B4",
    tier="should",
    hint=(
        "Give each weight and each inner layer a fixed `name` that no other one has. Paths tell weights "
        "apart in summaries, layout maps and patterns for freezing."
    ),
)
def names(case: Case) -> Evidence:
    """Variable paths are unique within a layer, and each instance has the same paths in the same order."""
    first, second = _paths(case), _paths(case)
    twice = sorted({path for path in first if first.count(path) > 1})
    yield Fact(not twice, f"used more than once: {', '.join(twice)}")
    yield _same({"one instance": first, "the next one": second})


@declare(
    "B5",
    cost="fair",
    hint=(
        "State belongs to the instance. A class attribute, a mutable default argument or a module-level "
        "cache must not hold anything that depends on an argument, a shape or a call."
    ),
)
def isolation(case: Case) -> Evidence:
    """Instances share no variables; other instances and past calls do not change what a layer computes."""
    layer, arrays = case.built(), case.arrays()
    due, written = case.run(layer, arrays), text(layer.get_config())
    trained = case.train(layer, arrays)

    def unchanged(subject: keras.layers.Layer, when: str) -> Evidence:
        for a, e in zip(case.run(subject, arrays), due, strict=True):
            yield Comparison(a, e, SAME, f"the same inputs {when}, and before")
        now = text(layer.get_config())
        yield Fact(now == written, f"config before   {written}\n{when:<15} {now}")

    with compat.kept_state(layer, seeds=True):  # R1 and R5 see what a call changes of the state
        case.call(layer, case.arrays(1, "normal", **case.longer()))
        yield from unchanged(layer, "after other inputs")
        for kind, other in {"the same": case, "another": case.elsewhere()}.items():
            neighbour = other.built()
            known = {id(variable) for variable in layer.variables}
            shared = [v.path for v in neighbour.variables if id(v) in known]
            yield Fact(not shared, f"two instances share {', '.join(shared)}")
            other.call(neighbour, other.arrays(), training=True)
            yield from unchanged(layer, f"after a layer of {kind} config was used")
        _fail_in_training(case, layer)
        yield from unchanged(layer, "after a call in training that failed")
    for a, e in zip(case.train(layer, arrays), trained, strict=True):
        what = "in training, after other instances and calls, and before"
        yield Comparison(a, e, SAME, what)
    yield from unchanged(case.twin(layer), "in a new layer with equal weights")


def _fail_in_training(case: Case, layer: keras.layers.Layer) -> None:
    """Call a layer in training with one entry too many in the last axis, so that it fails inside."""
    arrays = case.arrays()
    x = arrays[case.first]
    wrong = {**arrays, case.first: np.concatenate([x, x[..., :1]], axis=-1)}
    spec, layer.input_spec = layer.input_spec, None
    with case.still(layer), contextlib.suppress(Exception):
        compat.call(layer, wrong, training=True)
    layer.input_spec = spec
    compat.forget_unfinished_calls()


def _same(lists: dict[str, list[str]]) -> Fact:
    """Two named lists of variables are equal; the message shows where they differ."""
    first, second = lists.values()
    lines = []
    for name, mine, other in zip(lists, (first, second), (second, first), strict=True):
        own = [f"{i}: {x}" for i, x in enumerate(mine) if other[i : i + 1] != [x]]
        differing = f", differing: {', '.join(own)}" if own else ""
        lines.append(f"{name:<15} {len(mine)} variables{differing}")
    return Fact(first == second, "\n".join(lines))


def _paths(case: Case) -> list[str]:
    """The paths of the variables of a new instance, which is called once."""
    with compat.fresh_names():
        layer = case.make(name="subject")
        case.call(layer, case.arrays())
    return [variable.path for variable in layer.variables]


def _described(layer: keras.layers.Layer) -> list[str]:
    """A line for each variable, without the numbers that Keras gives to unnamed ones across the process."""
    return [
        f"{re.sub('_[0-9]+(?=/|$)', '', v.path)} {tuple(v.shape)} {v.dtype}"
        f"{'' if v.trainable else ' frozen'}"
        for v in layer.variables
    ]
