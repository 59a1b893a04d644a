"""Configs: a layer accepts its arguments in every form and survives a round trip through its config."""

import contextlib
import copy
import inspect
import json
import pickle
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import keras
import numpy as np

from layerzoo.catalogue import Config
from layerzoo.tensors import compat
from layerzoo.tensors.outcomes import NotApplicable
from layerzoo.tensors.slice import Slice
from layerzoo.testing.engine.case import Case
from layerzoo.testing.engine.comparison import SAME, Comparison, Evidence, Fact
from layerzoo.testing.engine.register import declare
from layerzoo.testing.engine.samples import deck
from layerzoo.testing.engine.sources import kinds_of
from layerzoo.testing.properties import argument_forms as forms

Checks = Iterator[Comparison | Fact]
"""What must hold of a layer and another one, as part of a property's evidence."""


@declare(
    "C1",
    hint=(
        "`get_config` must return every constructor argument as it was given, in a form that JSON can "
        "write: `serialize` activations, initializers and layers. Neither `build` nor `call` may change "
        "it. If you write your own `from_config`, let it work on a copy."
    ),
)
def config_roundtrip(case: Case) -> Evidence:
    """A layer revived from its config has the same arguments, also inside, and computes the same values."""
    whole = "float" not in case.make().compute_dtype  # so that float policies do not fit it
    policy = case.make().dtype_policy.name if whole else "mixed_bfloat16"
    layer = case.make(name="subject", dtype=policy)
    fresh = layer.get_config()
    parameters = inspect.signature(case.card.layer.__init__).parameters
    lost = [name for name in case.moved if name in parameters and name not in fresh]
    yield Fact(not lost, f"arguments missing from the config: {', '.join(lost)}")
    strange = [f"{key}={value!r:.200}" for key, value in fresh.items() if not _writable(value)]
    yield Fact(not strange, f"JSON cannot write {', '.join(strange)}")
    if case.card.instance is not None:
        yield from _nothing_lost(case.card.instance, _revived(case.card.instance))
    case.call(layer, case.arrays())
    yield _same_config(layer.get_config(), fresh, "after a call")

    given = copy.deepcopy(fresh)
    revived = type(layer).from_config(given)
    if not compat.is_of_keras(type(layer).from_config):  # its `Wrapper` and `RNN` do change it
        yield _same_config(_without_keras(given), _without_keras(fresh), "left by from_config")
    yield _same_config(revived.get_config(), fresh, "after revival")
    yield Fact(
        revived.name == "subject" and revived.dtype_policy.name == policy,
        f"name and dtype  subject, {policy}\n"
        f"after revival   {revived.name}, {revived.dtype_policy.name}",
    )

    layer = case.built()
    revived = _revived(layer)
    yield Fact(type(revived) is type(layer), f"revived as {type(revived)}, was {type(layer)}")
    yield from same_weights(case, layer, revived, "the layer and the one revived from its config")


@declare(
    "C2",
    cost="dear",
    hint=(
        "Pass the argument through `keras.activations.get`, `initializers.get`, `regularizers.get` or "
        "`constraints.get` in `__init__`, and through `serialize` from the same module in `get_config`."
    ),
)
def identifiers(case: Case) -> Evidence:
    """Activations, initializers, regularizers and constraints are accepted in every form, and kept."""
    kinds = kinds_of(case.card.layer, case.config)
    if not kinds:
        raise NotApplicable("no argument is an activation, initializer, regularizer or constraint")
    for form, given in forms.forms(case.card.layer, kinds).items():
        yield from _blaming_one(partial(_accepted, case, kinds, form), list(given))


@declare(
    "C6",
    cost="dear",
    hint=(
        "Pass `trainable` on to `super().__init__` with the other `**kwargs`, start `get_config` from "
        "`super().get_config()`, and do not set `trainable` on inner layers yourself, but at the end of "
        "`build` set it to False on each if the layer is frozen: a layer that is made or handed in does not "
        "follow its owner's flag, and a model trains it."
    ),
)
def trainable_flag(case: Case) -> Evidence:
    """A model trains nothing of a layer that is made, set, revived or loaded frozen; it can be undone."""
    due = _trained(case, case.built())
    later = case.built()
    later.trainable = False
    frozen = {
        "made with `trainable=False`": case.make(trainable=False),
        "frozen after it was built": later,
        "revived from a frozen layer's config": type(later).from_config(later.get_config()),
    }
    with contextlib.suppress(Exception):  # C3 and C5 check whether it can be read
        frozen["loaded from the file of a frozen layer"] = pickle.loads(pickle.dumps(later))
    for how, layer in frozen.items():
        case.call(layer, case.arrays())
        yield Fact(not layer.trainable, f"{how}, but `trainable` is True")
        still = _trained(case, layer)
        yield Fact(not still, f"{how}, but a model trains {', '.join(still)}")
        layer.trainable = True
        found = _trained(case, layer)
        yield Fact(
            len(found) == len(due),
            f"{how}\n"
            f"unfrozen        a model trains {len(found)} weights: {', '.join(found)}\n"
            f"never frozen    {len(due)}: {', '.join(due)}",
        )


@declare(
    "C9",
    cost="dear",
    hint=(
        "Usually an argument that is kept for the config and never read, or that does not reach the weight "
        "or the inner layer it is meant for. If an argument has no effect on purpose, declare it in the "
        "card: `inert={'argument': 'why'}`."
    ),
)
def arguments_matter(case: Case) -> Evidence:
    """Each argument changes a start, an output, a loss, a gradient or training, unless the card says not."""
    others = _other_values(case)
    if not others:
        raise NotApplicable("no argument is off its default")
    plain = list(_effects(case, {}))
    for name, value in others.items():
        found = _effect(case, {name: value}, plain)
        if name in case.card.inert:
            yield Fact(
                not found,
                f"{name:<15} changes {found}, but the card says that it has no effect: "
                f"{case.card.inert[name]}",
                "Take the argument out of `inert` in the card.",
            )
            continue
        cases = (Case(case.card, sample) for sample in deck(case.card, 60))  # every pair of options
        elsewhere = ((each, _other_values(each)) for each in cases)
        yield Fact(
            found or any(name in o and _effect(each, {name: o[name]}) for each, o in elsewhere),
            f"argument        {name}={case.config.get(name, 'the default')!r}\n"
            f"otherwise       {name}={value!r}\n"
            f"changes         {NOTHING.get(type(value), 'no start, output, loss or gradient')}",
        )


NOTHING = {
    forms.Filled: "no start of a weight to the value of this initializer",
    forms.Weighed: "no loss",
}
"""What an argument does not do, by the class of its value."""


def _other_values(case) -> dict:
    """Another value for each argument that was moved: its default, or an initializer or regularizer."""
    kinds = kinds_of(case.card.layer, case.config)
    found = {}
    for name, parameter in compat.own_parameters(case.card.layer).items():
        free = name in case.moved and parameter.default is not inspect.Parameter.empty
        if free and kinds.get(name) in ("initializer", "regularizer"):
            found[name] = forms.CUSTOM[kinds[name]]()
        elif free and name not in ("name", "dtype", "trainable"):
            found[name] = parameter.default
    return found


def _effects(case, settings):
    """What an argument can change, the cheapest first: each time its name and arrays."""
    arrays = case.arrays(values="normal")
    with compat.global_seeds(1):
        layer = case.make(**settings)
        case.call(layer, arrays)
    yield "the start of a weight", [compat.array(v) for v in layer.variables]
    rules = [(v.trainable, getattr(v, "constraint", None) is not None) for v in layer.variables]
    yield "what restricts a weight", [np.array(rules)]
    case.move_weights(layer)
    outputs = keras.tree.flatten(case.call(layer, arrays))
    masks = [mask for y in outputs if (mask := compat.mask_of(y)) is not None]
    yield "an output or its mask", [compat.array(x) for x in (*outputs, *masks)]
    with case.still(layer):
        trained = case.run(layer, arrays, training=True)
        yield "training", [*trained, *(compat.array(v) for v in layer.variables)]
    yield "a loss", [compat.array(loss) for loss in layer.losses]
    with contextlib.suppress(NotApplicable):
        subject = Slice(layer, arrays, case.sample.seed, training=True, losses=True)
        yield "a gradient", subject.gradient(subject.leaves)


def _effect(case, settings, plain=None) -> str:
    """What another value of an argument changes; empty if nothing.

    An initializer must set a weight, and a regularizer must add a loss: nothing else counts for these.
    """
    (value,) = settings.values()
    try:
        pairs = zip(_effects(case, settings), plain or _effects(case, {}), strict=False)
        for (what, found), (_, kept) in pairs:
            if isinstance(value, forms.Filled):
                return what if any(x.size and np.allclose(x, value.value) for x in found) else ""
            if isinstance(value, forms.Weighed) and what != "a loss":
                continue
            if len(found) != len(kept) or not all(map(np.array_equal, found, kept)):
                return what
    except Exception:  # the value does not go with the other arguments
        return "which arguments are accepted"
    return ""


def text(config: Config) -> str:
    """A config as JSON, without the build config that Keras adds to inner layers once they are built."""

    def stripped(node):
        if isinstance(node, dict):
            return {k: stripped(v) for k, v in node.items() if k != "build_config"}
        return list(map(stripped, node)) if isinstance(node, list | tuple) else node

    return json.dumps(stripped(config), sort_keys=True)


def same_outputs(
    case: Case, layer: keras.layers.Layer, other: keras.layers.Layer, what: str
) -> Checks:
    """Two layers compute the same values."""
    arrays = case.arrays()
    for a, e in zip(case.run(other, arrays), case.run(layer, arrays), strict=True):
        yield Comparison(a, e, SAME, f"outputs of {what}")


def same_weights(
    case: Case, layer: keras.layers.Layer, other: keras.layers.Layer, what: str
) -> Checks:
    """Another layer has weights of the same shapes and, given this layer's, computes the same."""
    for each in (layer, other):
        case.call(each, case.arrays())
    yield from _nothing_lost(layer, other)
    kept, found = ([tuple(w.shape) for w in each.weights] for each in (layer, other))
    yield Fact(kept == found, f"weights of {what}\nshapes          {kept}\nand             {found}")
    other.set_weights(layer.get_weights())
    yield from same_outputs(case, layer, other, what)


def _nothing_lost(layer, revived) -> Checks:
    """A revived layer, and each layer inside it, has the arguments that the first one has.

    An argument is compared if it is plain data and either an attribute or remembered by Keras.
    """
    for old, new in _pairs(layer, revived):
        config = old.get_config()
        for name, parameter in compat.own_parameters(type(old)).items():
            if name in ("name", "dtype"):  # the parts of two layers may have names of their own
                continue
            due, found = (compat.argument(each, name, parameter.default) for each in (old, new))
            yield Fact(
                not _is_plain(due) or not _is_plain(found) or _listed(found) == _listed(due),
                f"lost            the argument `{name}` of {type(old).__name__} {old.name!r}"
                f"{', which is missing from its config' if name not in config else ''}\n"
                f"when made       {name}={due!r}\nrevived         {name}={found!r}",
                f"The `get_config` of {type(old).__name__} must return `{name}` as it was given, and a layer "
                "around it must keep that config.",
            )


def _pairs(layer, revived):
    """Each layer with the one that it came back as: by place if the classes agree, otherwise by name."""
    old, new = compat.sublayers(layer), compat.sublayers(revived)
    if list(map(type, old)) == list(map(type, new)):
        return list(zip(old, new, strict=True))
    named = {(type(each), each.name): each for each in new}
    return [(e, named[type(e), e.name]) for e in old if (type(e), e.name) in named]


def _is_plain(value) -> bool:
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, bool | int | float | str)


def _listed(value):
    return list(map(_listed, value)) if isinstance(value, list | tuple) else value


def _trained(case, layer) -> list[str]:
    """The paths of the weights that a model around a layer gives its optimizer, or the layer itself names."""
    given = [*case.functional(layer).trainable_variables, *layer.trainable_weights]
    return list(dict.fromkeys(variable.path for variable in given))


def _same_config(config, fresh, when) -> Fact:
    """A config equals that of the new layer; the message shows the keys that differ."""
    lines = []
    for key in {**fresh, **config}:
        before, now = ({key: each[key]} if key in each else {} for each in (fresh, config))
        if text(before) != text(now):
            lines += [f"`{key}` of the config", f"when new        {_brief(before)}"]
            lines += [f"{when:<15} {_brief(now)}"]
    return Fact(not lines, "\n".join(lines))


def _without_keras(config):
    """A config in which each layer of Keras's own is only its name, for some of them change their config."""
    if isinstance(config, list | tuple):
        return list(map(_without_keras, config))
    if not isinstance(config, dict):
        return config
    if str(config.get("module")).startswith("keras"):
        return config.get("class_name")
    return {key: _without_keras(value) for key, value in config.items()}


def _writable(value) -> bool:
    try:
        json.dumps(value)
    except (TypeError, ValueError):  # JSON does not know the type, or it contains itself
        return False
    return True


def _brief(item) -> str:
    return "".join(f"{value!r:.200}" for value in item.values()) or "missing"


def _revived(layer):
    written = json.dumps(keras.saving.serialize_keras_object(layer))
    return keras.saving.deserialize_keras_object(json.loads(written))


def _blaming_one(checks: Callable[[list[str]], Checks], names: list[str]) -> Checks:
    """The checks of all arguments together, but where one fails first those of each alone, to name it."""
    for check in checks(names):
        if check.judged().violation:
            for name in names:
                yield from checks([name])
        yield check


def _accepted(case, kinds, form, names) -> Checks:
    """Some arguments are accepted in a form and kept, if all others stay as they are."""
    given = f"{', '.join(names)} given as {form}\n"
    try:
        for check in _kept(case, kinds, form, names):
            yield replace(check, what=given + check.what, hint="")
    except Exception as error:
        yield Fact(False, f"{given}raised          {type(error).__name__}: {error}")


def _kept(case, kinds, form, names) -> Checks:
    made = forms.forms(case.card.layer, kinds)
    given, plain = ({name: made[each][name] for name in names} for each in (form, "an object"))
    layer = case.make(name="subject", **given)
    revived = _revived(layer)
    for each, when in (layer, "in the config"), (revived, "in the config, revived"):
        config = each.get_config()
        for name, value in given.items():
            if value is None:  # may be left out, or mean that the layer chooses
                continue
            yield Fact(name in config, f"{name} is not {when}")
            due, found = (forms.written(kinds[name], v) for v in (value, config[name]))
            yield Fact(found == due, f"{name:<15} {due}\n{when:<15} {found}")
    if form in ("a name", "a dict"):
        like = case.make(name="subject", **plain)
        yield from same_weights(case, layer, like, "the layer and one given the object")
    yield from same_weights(case, layer, revived, "the layer and the one revived")
