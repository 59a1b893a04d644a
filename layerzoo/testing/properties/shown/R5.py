"""A call changes the layer's variables, apart from seeds, if and only if the card says so."""

import keras
import numpy as np

from layerzoo.testing.shown import built, claimed, inputs, numbers

layer = built()
state = lambda: {v.path: +numbers(v.value)[0] for v in layer.variables if "seed_gen" not in v.path}
first = numbers(layer(**inputs, training=False))[0]
for training in {None: (False, True), "training": (False,), "always": ()}[claimed["state"]]:
    before = state()
    other = lambda v: v * v.dtype.type(2) if v.dtype.kind == "f" else v
    layer(**keras.tree.map_structure(other, inputs), training=training)
    changed = {path: (before[path], v) for path, v in state().items() if (v != before[path]).any()}
    assert not changed, f"a call with training={training} changed, from and to: {changed}"
again = numbers(layer(**inputs, training=False))[0]
assert np.allclose(first, again), f"{first.ravel()[:4]}, and after other calls {again.ravel()[:4]}"
