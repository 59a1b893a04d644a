"""Drop-in: the layer stands in any model, may be shared, and refuses what is wrong."""

import copy

import keras
import numpy as np

from layerzoo.testing import compat
from layerzoo.testing.case import flat
from layerzoo.testing.closeness import demand_close
from layerzoo.testing.config import Subclassed
from layerzoo.testing.gradient import Slice
from layerzoo.testing.outcomes import NotApplicable, demand
from layerzoo.testing.properties import declare

SAME = "the same float32 operations, 1e-5 for another order"


@declare("L1", cost="fair")
def drop_in(case):
    """In a Sequential, a Functional and a subclassed model the layer computes what it does alone."""
    layer = case.built()
    arrays = case.arrays()
    expected = case.run(layer, arrays)
    models = {"Functional": case.functional(layer), "subclassed": Subclassed(layer)}
    if case.sequential:
        models["Sequential"] = keras.Sequential([layer])
    for kind, model in models.items():
        for a, e in zip(case.run_model(model, arrays), expected, strict=True):
            demand_close(a, e, 1e-5, f"  in a {kind} model, and alone", SAME)
    with case.resting(models["Functional"]):
        predicted = flat(models["Functional"].predict(case.feed(arrays), verbose=0))
    for a, e in zip(predicted, expected, strict=True):
        demand_close(a, e, 1e-5, "  `predict`, and alone", SAME)


@declare("L2", cost="fair")
def shared(case):
    """Used twice in a model, the layer has one set of weights, and its gradients add up."""
    layer = case.built()
    once = len(layer.weights)
    twice = len(case.functional(layer, layer).weights)
    demand(twice == once, f"  weights used once {once}, used twice in a model {twice}")
    if not layer.trainable_weights:
        return
    both = case.arrays(values="normal"), case.arrays(1, "normal")
    subject = Slice(layer, both[0], case.sample.seed)
    parts = [subject.gradient(subject.leaves_at(arrays)) for arrays in both]
    weights = slice(len(subject.inputs), None)
    joined = compat.gradient(
        lambda leaves: sum(
            subject.scalar([*(compat.tensor(arrays[path]) for path in subject.inputs), *leaves])
            for arrays in both
        )
    )([compat.tensor(leaf) for leaf in subject.leaves[weights]])
    for name, a, b, total in zip(
        subject.names[weights], parts[0][weights], parts[1][weights], joined, strict=True
    ):
        demand_close(total, a + b, 1e-4, f"  the gradient of {name}, used twice", SAME)


@declare("L4")
def input_untouched(case):
    """A call changes neither the caller's arrays and tensors nor the caller's config."""
    layer = case.built()
    arrays = case.arrays()
    kept = copy.deepcopy(arrays)
    tensors = {name: compat.tensor(a) for name, a in arrays.items()}
    for training in (False, True):
        compat.call(layer, arrays, training=training)
        compat.call(layer, tensors, training=training)
        for name in arrays:
            demand_close(
                arrays[name], kept[name], 0, f"  the array {name} after a call", "equal bits"
            )
            after = compat.array(tensors[name])
            demand_close(after, kept[name], 0, f"  the tensor {name} after a call", "equal bits")
    config = case.config
    kept_config = dict(config)
    case.card.layer(**config)
    demand(config == kept_config, f"  the constructor changed its arguments: {config}")


@declare("L6", tier="should")
def errors(case):
    """Bad arguments and bad inputs raise ValueError or TypeError before any state changes."""
    for config in case.card.errors:
        error = _error(lambda config=config: case.card.layer(**config))
        demand(
            isinstance(error, ValueError | TypeError),
            f"  the constructor was given {config}\n  outcome         {error!r}",
        )
    layer = case.built()
    if not _depends_on_last_axis(case, layer):
        if case.card.errors:
            return
        raise NotApplicable("no weight depends on the last axis, and no config is declared wrong")
    first = case.first
    before = [compat.array(v) for v in layer.variables]
    wrong = {name: a.copy() for name, a in case.arrays().items()}
    wrong[first] = np.concatenate([wrong[first], wrong[first][..., :1]], axis=-1)
    error = _error(lambda: case.call(layer, wrong))
    demand(
        isinstance(error, ValueError | TypeError),
        f"  built for a last axis of {wrong[first].shape[-1] - 1}, called with one more\n"
        f"  outcome         {error!r}",
    )
    after = [compat.array(v) for v in layer.variables]
    demand(
        len(after) == len(before) and all(map(np.array_equal, after, before)),
        "  the refused call changed the layer's variables",
    )


def _depends_on_last_axis(case, layer) -> bool:
    """Whether a layer built for one more entry in the last axis has weights of other shapes."""
    shapes = case.shapes()
    shapes[case.first] = (*shapes[case.first][:-1], shapes[case.first][-1] + 1)
    wider = case.make()
    try:
        case.build(wider, shapes)
    except Exception:  # then one more entry is wrong before any layer is built
        return False
    return [w.shape for w in wider.weights] != [w.shape for w in layer.weights]


def _error(action):
    try:
        action()
    except Exception as error:
        return error
    return None
