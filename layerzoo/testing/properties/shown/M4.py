"""A mask of another shape, or of other numbers than 0 and 1, raises a `ValueError` that names it."""

import inspect

import numpy as np

from layerzoo.testing.shown import built, inputs

layer = built()
for name in inspect.signature(layer.call).parameters:
    path = next(iter(inputs)) if name == "mask" else name.removesuffix("_mask")
    if (name != "mask" and not name.endswith("_mask")) or not hasattr(inputs.get(path), "shape"):
        continue
    b, t, *rest = inputs[path].shape
    shapes = [(b, t + 1), (b, 1), (1, t), (b + 1, t), (t,), (b,), (), (b, t, *rest, 1)]
    unfit = [np.ones(s, bool) for s in shapes if len(s) < 2 or s != (b, t)]
    for mask in [*unfit, np.full((b, t), 0.3), np.full((b, t), np.nan), np.full((b, t), 2)]:
        said = ""
        try:
            layer(**inputs, **{name: mask})
        except ValueError as error:
            said = str(error).split("Arguments received by")[0]  # Keras adds them to any error
        due = name in said and (mask.shape == (b, t) or str(mask.shape) in said)
        assert due, f"{name} {mask.dtype} {mask.shape} for {(b, t)}: {said or 'accepted'}"
