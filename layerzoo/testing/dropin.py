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
    feed = case.feed(arrays)
    expected = case.run(layer, arrays)
    models = {"Functional": case.functional(layer), "subclassed": Subclassed(layer)}
    if len(arrays) == 1:
        models["Sequential"] = keras.Sequential([layer])
    for kind, model in models.items():
        for a, e in zip(flat(model(feed)), expected, strict=True):
            demand_close(a, e, 1e-5, f"  in a {kind} model, and alone", SAME)
    for a, e in zip(flat(models["Functional"].predict(feed, verbose=0)), expected, strict=True):
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
    weights = slice(len(both[0]), None)
    joined = compat.gradient(
        lambda leaves: sum(
            subject.scalar([*map(compat.tensor, arrays.values()), *leaves]) for arrays in both
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


@declare("L6")
def errors(case):
    """Bad arguments and bad inputs raise ValueError or TypeError before any state changes."""
    for config in case.card.errors:
        error = _error(lambda config=config: case.card.layer(**config))
        demand(
            isinstance(error, ValueError | TypeError),
            f"  the constructor was given {config}\n  outcome         {error!r}",
        )
    first, axes = next(iter(case.card.axes.items()))
    if axes[-1] in case.traits.dynamic.split():
        if case.card.errors:
            return
        raise NotApplicable("every size of the last axis is right, and no config is declared wrong")
    layer = case.built()
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


def _error(action):
    try:
        action()
    except Exception as error:
        return error
    return None
