"""What a layer must keep at sizes drawn freely, each cheap enough for dozens of examples.

Each function draws with `data`, which is `st.data()` in a test. It raises a `Violation` where the layer
breaks its promise. A layer is built once for each config and then called at many sizes, as in use. Configs
come from the first rows of the deck.
"""

import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
from hypothesis import event, reject, target
from hypothesis import strategies as st

from layerzoo.catalogue import Card
from layerzoo.tensors import compat
from layerzoo.tensors.slice import Slice
from layerzoo.testing.engine.case import Case
from layerzoo.testing.engine.comparison import SUMS, Comparison, Fact, demand
from layerzoo.testing.engine.derivative import STEPS, TOLERANCE, demand_derivative
from layerzoo.testing.engine.placed import Placed, built, fitting_places
from layerzoo.testing.engine.samples import Sample, deck
from layerzoo.testing.engine.strategies import MASKS, Drawn, cases, masks
from layerzoo.testing.properties.shape import output_shapes, output_shapes_cover, symbols_cover

ROWS = 4
"""From how many rows of the deck configs are drawn."""

EDGES = (1, 2, 7, 8, 9, 15, 16, 17, 31, 32, 33)
"""The sizes around which code in blocks goes wrong."""

CONTINUOUS = ("normal", "small", "large")
"""The kinds of values that seldom meet a kink."""

NUMERIC, *_ = TOLERANCE.values()
"""How near the numerical derivative in float64 must be."""


def shapes(card: Card, data: st.DataObject, rows: int = ROWS) -> None:
    """Symbols and `compute_output_shape` tell the shape that is computed, with sizes known or unknown."""
    case = data.draw(cases(card, empty=_takes_none(card), choices=_configs(card, rows)))
    letters = case.traits.dynamic.split()
    unknown = data.draw(st.sampled_from([(), *((each,) for each in letters), tuple(letters)]))
    layer = _reused(case)
    eager = keras.tree.flatten(case.call(layer, case.arrays()))
    sizes = dict.fromkeys(unknown)
    spec = keras.tree.flatten(compat.call(layer, case.symbols(**sizes)))
    counts = f"outputs         symbolic {len(spec)}, eager {len(eager)}"
    demand(Fact(len(spec) == len(eager), counts))
    demand(*symbols_cover(spec, eager, f"unknown: {' '.join(unknown) or 'nothing'}"))
    if not compat.is_default(layer.compute_output_shape):
        demand(output_shapes_cover(layer, case.shapes(**sizes), eager))


def edges(card: Card, data: st.DataObject, rows: int = ROWS) -> None:
    """The layer tells the shape that is computed at each size in `EDGES`, and for one sample."""
    case = data.draw(_edges(card, rows))
    layer = _reused(case)
    eager = keras.tree.flatten(case.call(layer, case.arrays()))
    if compat.is_default(layer.compute_output_shape):
        demand(*symbols_cover(compat.call(layer, case.symbols()), eager, "every size known"))
        return
    said, found = output_shapes(layer, case.shapes()), [tuple(y.shape) for y in eager]
    demand(Fact(said == found, f"it says         {said}\nthe outputs     {found}"))


def gradient(card: Card, data: st.DataObject, rows: int = ROWS) -> None:
    """The gradient is the numerical derivative along a direction in all inputs and weights, in float64."""
    case = data.draw(cases(card, kinds=CONTINUOUS, choices=_configs(card, rows)))
    traits = case.traits
    differs = traits.stochastic or traits.train_differs or traits.couples_batch == "training"
    training = data.draw(st.booleans()) if differs else False
    with compat.float64():
        layer = _reused(case, dtype="float64")
        if traits.surrogate or compat.half_inside(layer):
            reject()
        subject = Slice(layer, case.arrays(), case.sample.seed, "float64", training)
        first = len(subject.inputs) if traits.differentiable == "none" else 0
        if first == len(subject.leaves):
            reject()
        generator = np.random.default_rng([case.sample.seed, 89])
        along = [
            generator.normal(size=leaf.shape) * (place >= first)
            for place, leaf in enumerate(subject.leaves)
        ]
        found = subject.gradient(subject.leaves)
        exact = float(sum(np.sum(g * d) for g, d in zip(found, along, strict=True)))
        for step in STEPS:
            ahead, behind = (_value(subject, along, h) for h in (step, -step))
            numeric = (ahead - behind) / (2 * step)
            error = abs(numeric - exact) / (NUMERIC * max(1.0, abs(numeric), abs(exact)))
            if error <= 1:
                target(float(np.log10(error + 1e-9)), label="log10 of error / tolerance")
                return
        event("leaf by leaf, at other points or steps")
        smooth = traits.differentiable == "smooth"
        leaves = range(first, len(subject.leaves))
        demand_derivative(subject, case.sample.seed, smooth, leaves)


def independence(card: Card, data: st.DataObject, rows: int = ROWS) -> None:
    """Padding, other samples and later steps change nothing that they must not change."""
    case = data.draw(cases(card, kinds=CONTINUOUS, choices=_configs(card, rows)))
    layer, arrays, others = _reused(case), case.arrays(), case.arrays(1)
    due = case.run(layer, arrays)
    batch = case.sizes.get("b", 1)
    if batch > 1 and case.traits.couples_batch != "always":
        kept = data.draw(st.integers(0, batch - 1))
        place = {
            path: each.letters.index("b")
            for path, each in case.tensors.items()
            if "b" in each.letters
        }
        alone = {
            path: np.take(x, [kept], place[path]) if path in place else x
            for path, x in arrays.items()
        }
        for a, e in zip(case.run(layer, alone), due, strict=True):
            if e.shape[:1] == (batch,):
                what = f"sample {kept} alone, and beside other samples"
                demand(Comparison(a[0], e[kept], SUMS, what))
    first = case.first
    if case.traits.causal and case.tensors[first].letters[1:2] == ["t"] and case.sizes["t"] > 1:
        past = data.draw(st.integers(1, case.sizes["t"] - 1))
        later = {**arrays, first: arrays[first].copy()}
        later[first][:, past:] = others[first][:, past:]
        for a, e in zip(case.run(layer, later), due, strict=True):
            if e.shape[:2] == arrays[first].shape[:2]:
                what = f"steps before {past}, after a change from it on"
                demand(Comparison(a[:, :past], e[:, :past], SUMS, what))
    demand(*_padding_is_ignored(case, data, layer, arrays))


def in_models(card: Card, data: st.DataObject, rows: int = ROWS) -> None:
    """In a Sequential or Functional model, in two branches, and in a wrapper, the layer computes the same."""
    case = data.draw(cases(card, kinds=CONTINUOUS, choices=_configs(card, rows)))
    if case.traits.state == "always":
        reject()
    layer = built(case, _reused(case))
    where = data.draw(st.sampled_from(fitting_places(layer)))
    event("model", where)
    placed = Placed(where, layer)
    with warnings.catch_warnings():  # about the memory layout that `TimeDistributed` passes on
        warnings.simplefilter("ignore")
        found = placed.call()
    demand(*_same(found, placed.due(), f"in {where}, and alone"))


def restored(card: Card, data: st.DataObject, rows: int = ROWS) -> None:
    """Made again from its config, and loaded from a file, the layer gives the same numbers."""
    case = data.draw(cases(card, kinds=CONTINUOUS, choices=_configs(card, rows)))
    if case.traits.state == "always":
        reject()
    layer, arrays = _reused(case), case.arrays()
    due = case.run(layer, arrays)
    again = type(layer).from_config(layer.get_config())
    case.call(again, arrays)
    again.set_weights(layer.get_weights())
    demand(*_same(case.run(again, arrays), due, "of the layer made from its config"))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        case.functional(layer).save(path)
        loaded = keras.saving.load_model(path)
    demand(*_same(case.run_model(loaded, arrays), due, "of the model from the file"))


CHECKS = {
    shapes: 30,
    edges: (1 + len(EDGES)) * ROWS,
    gradient: 20,
    independence: 6,
    in_models: 4,
    restored: 1,
}
"""How many examples each takes by default."""

MADE = 200
"""How many layers are kept."""

_made: dict[Any, Any] = {}


def _once(card: Card, key: tuple, make: Callable[[], Any]) -> Any:
    """What a function makes, or made earlier for the same card and key."""
    if len(_made) > MADE:
        _made.clear()
    if (id(card), key) not in _made:
        _made[id(card), key] = card, make()  # the card is kept, so that no other one gets its id
    return _made[id(card), key][1]


def _reused(case: Case, **how) -> keras.layers.Layer:
    """The built layer of a case. It is the same one for cases that differ only in sizes that may change."""
    dynamic = case.traits.dynamic.split()
    sizes = {letter: n for letter, n in case.sizes.items() if letter not in dynamic}
    plain = Case(case.card, Sample(case.sample.choices, sizes=sizes))
    key = (case.sample.choices, *sizes.items(), *how.items())
    return _once(case.card, key, lambda: plain.built(**how))


def _configs(card: Card, rows: int) -> st.SearchStrategy[tuple[int, ...]]:
    """The choices of the first rows of the deck, the plainest first."""

    def make() -> list[tuple[int, ...]]:
        return list(dict.fromkeys(row.choices for row in deck(card, rows)))

    return st.sampled_from(_once(card, ("rows", rows), make))


def _edges(card: Card, rows: int) -> st.SearchStrategy[Case]:
    """Each of the first rows of the deck with a batch of one, and with each of `EDGES` on each free axis."""

    def make() -> list[Case]:
        found: list[Case] = []
        for choices in dict.fromkeys(row.choices for row in deck(card, rows)):
            plain = Case(card, Sample(choices))
            letters = {*plain.traits.dynamic.split()} & {*plain.sizes}
            found += [
                Drawn(card, Sample(choices, sizes={letter: n}))
                for letter in sorted(letters)
                for n in (EDGES[:1] if letter == "b" else EDGES)
                if n >= plain.dims.get(letter, 1)
            ]
        return found

    found = _once(card, ("edges", rows), make)
    return st.sampled_from(found) if found else st.nothing()


def _takes_none(card: Card) -> bool:
    """Whether an empty batch is not known to fail."""
    return not {"S6", f"S6@{compat.BACKEND}"} & set(card.expected_failures)


def _value(subject: Slice, along: list[np.ndarray], step: float) -> float:
    """The value of a slice a step away, computed eagerly, because each shape is seen once."""
    leaves = [leaf + step * d for leaf, d in zip(subject.leaves, along, strict=True)]
    return float(compat.array(subject.scalar([compat.tensor(leaf) for leaf in leaves])))


def _same(found: list[np.ndarray], due: list[np.ndarray], where: str) -> Iterator[Comparison]:
    """All outputs are the same."""
    for index, (a, e) in enumerate(zip(found, due, strict=True)):
        yield Comparison(a, e, SUMS, f"output {index} {where}")


def _padding_is_ignored(
    case: Case, data: st.DataObject, layer: keras.layers.Layer, arrays: dict[str, np.ndarray]
) -> Iterator[Comparison]:
    """What is in the padding of an input changes nothing that is valid."""
    masking = case.traits.masking
    claims = masking if isinstance(masking, dict) else {case.first: masking}
    for path, claim in claims.items():
        argument = next((a for a in (f"{path}_mask", "mask") if compat.takes(layer, a)), None)
        if claim not in ("propagates", "consumes") or path not in arrays or argument is None:
            continue
        x = arrays[path]
        mask: Any = data.draw(masks(x.shape[0], x.shape[1], kinds=MASKS[2:]))
        valid = mask.reshape(*mask.shape, *[1] * (x.ndim - 2))
        padded = [{**arrays, path: np.where(valid, x, np.asarray(n, x.dtype))} for n in (0, 50)]
        zeros, garbage = (case.run(layer, given, **{argument: mask}) for given in padded)
        for a, e in zip(garbage, zeros, strict=True):
            stepwise = claim == "propagates" and e.shape[:2] == mask.shape
            a, e = (a[mask], e[mask]) if stepwise else (a, e)
            yield Comparison(a, e, SUMS, f"with 50 in the padding of {path}, and with 0")
