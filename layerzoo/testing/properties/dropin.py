"""Drop-in: the layer works in any model, can be shared, and passes its losses on to the model."""

import inspect
import warnings

import keras
import numpy as np

from layerzoo.tensors import autodiff, compat
from layerzoo.tensors.outcomes import NotApplicable
from layerzoo.tensors.slice import Slice
from layerzoo.testing.engine.case import Case
from layerzoo.testing.engine.comparison import (
    SAME,
    SUMS,
    Comparison,
    Evidence,
    Fact,
    Tolerance,
    allowing,
)
from layerzoo.testing.engine.register import declare
from layerzoo.testing.properties.files import Subclassed

GRADIENTS = Tolerance(1e-4, "float32, 1e-4 for gradients that are summed in another order")


@declare(
    "L1",
    cost="dear",
    hint=(
        "Usually Python code in `call` that needs a known size or a concrete number. A model first runs "
        "`call` on symbols, so take sizes from `keras.ops.shape` and branch with `keras.ops.where`."
    ),
)
def drop_in(case: Case) -> Evidence:
    """In any model, in `TimeDistributed` and in `tf.data` the layer computes the same as alone."""
    layer = case.built()
    arrays = case.arrays()
    expected = case.run(layer, arrays, training=False)
    models = {"Functional": case.functional(layer), "subclassed": Subclassed(layer)}
    if case.sequential:
        models["Sequential"] = _sequential(case, layer)
    for kind, model in models.items():
        found = case.run_model(model, arrays)
        yield from _as_alone(layer, found, expected, f"in a {kind} model")
    yield from _predicted(case, layer, models["Functional"], arrays, expected)
    if case.traits.state == "always":
        return
    if case.sequential and len(expected) == 1 and arrays[case.first].ndim > 1:
        others = case.arrays(1)
        both = np.stack([arrays[case.first], others[case.first]], axis=1)
        steps = np.stack([expected[0], case.run(layer, others, training=False)[0]], axis=1)
        with warnings.catch_warnings():  # about the memory layout that the wrapper passes on
            warnings.simplefilter("ignore")
            found = compat.flat(keras.layers.TimeDistributed(layer)(both, training=False))
        yield from _as_alone(layer, found, [steps], "in `TimeDistributed`")
    if compat.BACKEND == "tensorflow" and not layer.trainable_weights:
        found = compat.flat(compat.mapped(layer, arrays, training=False))
        yield from _as_alone(layer, found, expected, "mapped over a `tf.data.Dataset`")


@declare(
    "L2",
    cost="fair",
    hint=(
        "Usually a variable made in `call`, so that each use makes a new one, or something that one use "
        "stores on `self` and the next one reads. Make variables in `build`, and store nothing in `call`."
    ),
)
def shared(case: Case) -> Evidence:
    """Used twice in a model, the layer has one set of variables, twice the losses, and summed gradients."""
    layer = case.built()
    arrays = case.arrays(values="normal")
    case.run(layer, arrays, training=False)
    once, added = len(layer.variables), _added_losses(layer)
    model = case.functional(layer, layer)
    twice = len(model.variables)
    yield Fact(twice == once, f"variables       used once {once}, used twice in a model {twice}")
    found = case.run_model(model, arrays)
    if case.traits.state != "always":
        half = len(found) // 2
        for index, (a, e) in enumerate(zip(found[half:], found[:half], strict=True)):
            what = f"output {index}        of the second use, and of the first"
            yield Comparison(a, e, SUMS, what)
    doubled = _added_losses(model)
    yield Fact(
        doubled == 2 * added,
        f"added losses    used once {added}, used twice in a model {doubled}, expected {2 * added}",
    )
    if not layer.trainable_weights:
        return
    both = arrays, case.arrays(1, "normal")
    subject = Slice(layer, both[0], case.sample.seed)
    parts = [subject.gradient(subject.leaves_at(arrays)) for arrays in both]
    weights = slice(len(subject.inputs), None)
    joined = autodiff.gradient(
        lambda leaves: sum(
            subject.scalar([*(compat.tensor(arrays[path]) for path in subject.inputs), *leaves])
            for arrays in both
        )
    )([compat.tensor(leaf) for leaf in subject.leaves[weights]])
    for name, a, b, total in zip(
        subject.names[weights], parts[0][weights], parts[1][weights], joined, strict=True
    ):
        what = f"gradient        of {name} over two uses, and the sum of the two gradients"
        yield Comparison(total, a + b, allowing(layer, GRADIENTS), what)


@declare(
    "L5",
    tier="trait",
    cost="fair",
    hint=(
        "Call `self.add_loss` with a scalar in each `call`: Keras clears the losses before the next one. "
        "Do not accumulate losses on `self`. Keep inner layers where Keras tracks them, as attributes or "
        "in lists."
    ),
)
def losses(case: Case) -> Evidence:
    """Losses are finite scalars, as many as claimed; they do not pile up over calls, and reach the model."""
    layer = case.built()
    claimed = case.traits.losses
    found = {training: _losses(case, layer, training) for training in (False, True)}
    regularizers = _regularizers(layer)
    if claimed is None and not any(found.values()) and not regularizers:
        raise NotApplicable("the layer adds no loss and takes no regularizer")
    for training, values in found.items():
        for value in values:
            yield Fact(
                value.shape == () and np.isfinite(value),
                f"loss            {value}, of shape {value.shape}; expected one finite number",
            )
        again = _losses(case, layer, training)
        yield Fact(
            len(again) == len(values),
            f"losses          after a call {len(values)}, after the next {len(again)}",
        )
    later = np.array(_losses(case, layer, False))
    what = "losses          after a later call, and after the first one"
    yield Comparison(later, np.array(found[False]), SAME, what)
    weighted = len(_regularized(layer))
    if claimed is not None:
        added = len(found[True]) - weighted
        yield Fact(added == claimed, f"added losses    {added}, but the card says {claimed}")
    for kind, model in (("Functional", case.functional(layer)), ("subclassed", Subclassed(layer))):
        case.run_model(model, case.arrays())
        what = f"losses          of a {kind} model, and of the layer in it"
        reached = np.sort(np.array([compat.array(loss) for loss in model.losses]))  # in any order
        yield Comparison(reached, np.sort(np.array(found[False])), SUMS, what)
    yield _inner_losses(case)
    for name in regularizers:
        yield _regularizes(case, name)


def _sequential(case, layer) -> keras.Sequential:
    """A Sequential model. Only for integers it starts with an input: without one it assumes floats."""
    shape, tensor = case.shapes()[case.first], case.tensors[case.first]
    first = [] if tensor.floating else [keras.Input(shape[1:], dtype=tensor.dtype)]
    return keras.Sequential([*first, layer])


def _predicted(case, layer, model, arrays, expected) -> Evidence:
    """`predict` gives the same, with a smaller last batch if the layer allows one."""
    size = len(arrays[case.first])
    free = all(y.shape[0] is None for y in model.outputs) and case.traits.state != "always"
    if free and not case.traits.couples_batch:
        more = lambda a: np.concatenate([a, a, a[:1]])  # noqa: E731
        arrays = {path: more(a) for path, a in arrays.items()}
        expected, size = list(map(more, expected)), size + 1
    with case.resting(model):
        predicted = compat.flat(model.predict(case.feed(arrays), batch_size=size, verbose=0))
    yield from _as_alone(layer, predicted, expected, "by `predict`")


def _as_alone(layer, found, expected, where) -> Evidence:
    """The outputs are those of the layer alone."""
    yield Fact(
        len(found) == len(expected),
        f"outputs         {len(found)} {where}, alone {len(expected)}",
    )
    for index, (a, e) in enumerate(zip(found, expected, strict=True)):
        what = f"output {index}        {where}, and alone"
        yield Comparison(a, e, allowing(layer, SUMS), what)


def _losses(case, layer, training: bool) -> list[np.ndarray]:
    with compat.kept_state(layer):
        compat.call(layer, case.arrays(), training=training)
        return [compat.array(loss) for loss in layer.losses]


def _regularized(layer) -> list:
    return [w for w in layer.trainable_weights if w.regularizer is not None]


def _added_losses(layer) -> int:
    """How many losses the last call added, not counting those of regularized weights."""
    return len(layer.losses) - len(_regularized(layer))


def _regularizers(layer) -> list[str]:
    """The constructor's regularizer arguments that are named after a weight of the layer."""
    names = {w.path.split("/")[-1] for w in layer.trainable_weights}
    return [
        argument
        for argument in inspect.signature(type(layer).__init__).parameters
        if argument.endswith("_regularizer") and argument.removesuffix("_regularizer") in names
    ]


def _regularizes(case, name) -> Fact:
    """A regularizer that is given reaches the weight that its argument is named after."""
    layer = case.make(**{name: keras.regularizers.L2(0.1)})
    case.call(layer, case.arrays())
    weight = name.removesuffix("_regularizer")
    return Fact(
        any(w.path.split("/")[-1] == weight for w in _regularized(layer)),
        f"{name:<16}was given, but no weight `{weight}` is regularized",
        f"Pass `regularizer=self.{name}` to the `add_weight` of `{weight}`.",
    )


def _inner_losses(case) -> Fact:
    """The layer has the losses of the layers that were passed in."""
    config = case.config
    layer = case.card.layer(**config)
    given = [x for x in keras.tree.flatten(config) if isinstance(x, keras.layers.Layer)]
    case.call(layer, case.arrays())
    due = sum(len(inner.losses) for inner in given)
    return Fact(
        len(layer.losses) >= due,
        f"losses          {len(layer.losses)}, but the layers that were passed in have {due}",
    )
