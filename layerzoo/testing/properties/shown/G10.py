"""A new layer returns its input exactly, and a gradient moves it off that."""

import keras
import numpy as np

from layerzoo.testing.shown import claimed, inputs, make, numbers

from .probe import Probe

x, (y, *_) = keras.tree.flatten(inputs)[0], numbers(make()(**inputs, training=False))
same = np.array_equal(x, y)
assert same == claimed["identity_at_start"], "not the input" if not same else "the input"
gradients = Probe(make(), inputs).gradients()
found = [gradient for weight, gradient in gradients if weight.name != "probed_input"]
assert not same or not found or any(map(np.any, found)), "no gradient reaches a weight"
