"""Masks: padding changes nothing that is valid, and the mask goes on as far as there are steps."""

import keras
import numpy as np

from layerzoo.testing import compat
from layerzoo.testing.case import flat
from layerzoo.testing.closeness import demand_close, demand_finite
from layerzoo.testing.outcomes import NotApplicable, demand
from layerzoo.testing.properties import declare

SUMS = "float32, 1e-5 for sums in another order"


@declare("M1", tier="trait")
def mask_invariance(case):
    """What stands in padded steps, NaN included, changes no valid output, wherever the padding is."""
    masking = _claimed(case)
    if masking == "passes":
        raise NotApplicable("what padding does is up to a wrapped layer")
    layer = case.built()
    arrays = case.arrays(values="normal")
    first = next(iter(arrays))
    time = arrays[first].shape[1]
    for where, mask in _masks(arrays[first].shape[:2]).items():
        outputs = _run(case, layer, arrays, mask)
        for garbage in (50.0, np.nan):
            spoiled = dict(arrays)
            spoiled[first] = np.where(mask[..., None], arrays[first], np.float32(garbage))
            for a, e in zip(_run(case, layer, spoiled, mask), outputs, strict=True):
                a, e = (a[mask], e[mask]) if masking == "propagates" else (a, e)
                demand_close(a, e, 1e-6, f"  {where} padding filled with {garbage}", SUMS)
                demand_finite(a, f"  {where} padding filled with {garbage}")
        if masking == "consumes":
            for output in outputs:
                demand_finite(output, f"  {where} padding")
    for a, e in zip(
        _run(case, layer, arrays, np.ones_like(mask)), case.run(layer, arrays), strict=True
    ):
        demand_close(a, e, 1e-5, "  a mask that is true everywhere, and no mask", SUMS)
    if "t" in case.traits.dynamic.split() and time > 1:
        mask = np.arange(time) < time - 1
        padded = _run(case, layer, arrays, np.broadcast_to(mask, arrays[first].shape[:2]))
        short = {name: a[:, :-1] if name == first else a for name, a in arrays.items()}
        for a, e in zip(padded, case.run(layer, short), strict=True):
            a = a[:, :-1] if masking == "propagates" else a
            demand_close(a, e, 1e-5, "  the padded sequence and the one cut short", SUMS)


@declare("M2", tier="trait")
def mask_propagation(case):
    """The mask that goes on is the one declared, eager and symbolic, and fits the output's shape."""
    masking = _claimed(case)
    arrays = case.arrays()
    first = next(iter(arrays))
    mask = _masks(arrays[first].shape[:2])["right"]

    layer = case.make()
    tensors = {name: keras.ops.convert_to_tensor(a) for name, a in arrays.items()}
    compat.with_mask(tensors[first], keras.ops.convert_to_tensor(mask))
    outputs = keras.tree.flatten(compat.call(layer, tensors))
    found = compat.mask_of(outputs[0])
    if masking == "consumes":
        demand(found is None, "  the time axis is gone, and a mask goes on")
    else:
        demand(found is not None, "  the steps are kept, and the mask is lost")
        found = compat.array(found)
        demand(
            found.shape == outputs[0].shape[: found.ndim],
            f"  mask {found.shape} on an output {tuple(outputs[0].shape)}",
        )
        demand(
            np.array_equal(found, mask), f"  mask in  {mask.tolist()}\n  mask out {found.tolist()}"
        )

    symbols = case.symbols(b=None)
    symbols[first] = keras.layers.Masking()(symbols[first])
    symbolic = keras.tree.flatten(compat.call(case.make(), symbols))[0]
    said = compat.mask_of(symbolic)
    demand(
        (said is None) == (found is None),
        f"  symbolic mask {said is not None}, eager mask {found is not None}",
    )


def _claimed(case) -> str:
    if case.traits.masking is None:
        raise NotApplicable("the card claims nothing about masks")
    return case.traits.masking


def _masks(shape) -> dict[str, np.ndarray]:
    """Masks by where the padding is; samples differ in length."""
    batch, time = shape
    steps, lengths = np.arange(time), 1 + (np.arange(batch) + time // 2) % time
    right = steps < lengths[:, None]
    interior = np.ones(shape, bool)
    interior[:, time // 2] = time == 1
    full = right.copy()
    full[0] = False
    return {"right": right, "left": right[:, ::-1], "interior": interior, "full": full}


def _run(case, layer, arrays, mask):
    if compat.takes(layer, "mask"):
        return case.run(layer, arrays, mask=mask)
    tensors = {name: keras.ops.convert_to_tensor(a) for name, a in arrays.items()}
    first = next(iter(tensors))
    compat.with_mask(tensors[first], keras.ops.convert_to_tensor(mask))
    return flat(compat.call(layer, tensors))
