"""Used twice in a model, the layer has one set of variables, twice the losses, and summed gradients."""

import numpy as np

from layerzoo.testing.shown import built, inputs, numbers

from .functional import functional, given

layer = built()
once = len(layer.variables)
twice = functional(lambda **symbols: [layer(**symbols), layer(**symbols)], any_batch=True)
assert len(twice.variables) == once, f"used once {once} variables, twice {len(twice.variables)}"
layer(**inputs)
regularized = sum(w.regularizer is not None for w in layer.trainable_weights)
due = 2 * len(layer.losses) - regularized
first, second = twice(given, training=False)
assert len(twice.losses) == due, f"used twice, the layer has {len(twice.losses)} losses, not {due}"
for a, b in zip(numbers(first), numbers(second)):
    assert np.allclose(a, b, atol=1e-5), f"the first use gives {a}, the second {b}"
