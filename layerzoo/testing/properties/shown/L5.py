"""Losses are finite scalars, as many as claimed; they do not pile up over calls, and reach the model."""

import inspect

import keras
import numpy as np

from layerzoo.testing.shown import arguments, built, claimed, inputs, numbers

layer = built()


def losses():
    layer(**inputs, training=True)
    return numbers(layer.losses)


first, second = losses(), losses()
for loss in first:
    assert loss.shape == () and np.isfinite(loss), f"a loss is {loss}, not one finite number"
assert len(first) == len(second), f"after one call {first}, after two {second}"
inside = sum(len(x.losses) for x in vars(layer).values() if isinstance(x, keras.Layer))
assert len(first) >= inside, f"{inside} losses in the layers inside, {len(first)} in the layer"
regularized = lambda layer: [w.name for w in layer.trainable_weights if w.regularizer is not None]
added, due = len(first) - len(regularized(layer)), claimed["losses"]
assert due in (None, added), f"a call adds {added} losses, the card says {due}"
layer(**inputs, training=False)
once = numbers(layer.losses)
layer(**inputs, training=False)
later = numbers(layer.losses)
assert np.allclose(once, later), f"after a call {once}, later {later}"
for name in inspect.signature(type(layer).__init__).parameters:
    weight = name.removesuffix("_regularizer")
    if name != weight and weight in [w.name for w in layer.trainable_weights]:
        other = type(layer)(**{**arguments, name: "l2"})
        other(**inputs)
        found = regularized(other)
        assert weight in found, f"with {name} only {found} are regularized"
