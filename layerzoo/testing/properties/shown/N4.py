"""A NaN stays in its sample, and a NaN in masked padding reaches no valid output."""

import inspect

import keras
import numpy as np

from layerzoo.testing.shown import built, claimed, inputs, numbers

layer, claim = built(), claimed["masking"]
first = lambda x: keras.tree.flatten(next(iter(x.values())))[:1]
good = keras.tree.map_structure(lambda v: np.concatenate([v[:1]] * 2), inputs)


def demand_contained(where, chosen, spoilt, kept, **how):
    bad = keras.tree.map_structure(np.copy, good)
    for v in [v for v in chosen(bad) if v.dtype.kind == "f"]:
        v[spoilt] = np.nan
    for y, e in zip(numbers(layer(**bad, **how)), numbers(layer(**good, **how))):
        y, e = y[kept].ravel(), e[kept].ravel()
        assert np.isfinite(y[np.isfinite(e)]).all(), f"NaN in {where}: {e[:4]} became {y[:4]}"


demand_contained("a sample", keras.tree.flatten, np.s_[:1], np.s_[1:])
if claim in ("propagates", "consumes"):
    mask = np.arange(first(good)[0].shape[1])[None] < [[2], [2]]
    how = {"mask": mask} if "mask" in inspect.signature(type(layer).call).parameters else {}
    valid = np.s_[:, :2] if claim == "propagates" else ...
    demand_contained("padding", first, np.s_[:, 2:], valid, **how)
