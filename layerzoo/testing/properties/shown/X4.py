"""`stateless_call` computes the same as a call with those values, returns new state and stores none."""

import inspect

import keras
import numpy as np

from layerzoo.testing.shown import built, claimed, inputs, numbers

layer = built()
mode = {"training": True} if "training" in inspect.signature(layer.call).parameters else {}
rng = np.random.default_rng(5)
before = [x.copy() for x in numbers(layer.variables)]
given = [x + rng.random(x.shape).astype(x.dtype) if x.dtype.kind == "f" else x for x in before]
place = {id(v): i for i, v in enumerate(layer.variables)}
pick = lambda variables: [keras.ops.convert_to_tensor(given[place[id(v)]]) for v in variables]
trained, others = layer.trainable_variables, layer.non_trainable_variables
tensors = keras.tree.map_structure(keras.ops.convert_to_tensor, inputs)
outputs, state = layer.stateless_call(pick(trained), pick(others), **tensors, **mode)
for v, old, new in zip(layer.variables, before, numbers(layer.variables)):
    assert np.array_equal(old, new), f"{v.path} was {old} and is {new} after a stateless call"
for v, value in zip(layer.variables, given):
    v.assign(value)
if not claimed["stochastic"]:
    for y, e in zip(numbers(outputs), numbers(layer.call(**tensors, **mode))):
        assert np.allclose(y, e, atol=1e-5), f"{y.ravel()[:4]} stateless, {e.ravel()[:4]} by `call`"
    for v, y, e in zip(others, numbers(state), numbers(others)):
        assert np.allclose(y, e, atol=1e-5), f"{v.path}: {y} is returned, {e} after a call"
