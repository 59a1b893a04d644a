"""Each argument changes a start, an output, a loss, a gradient or training, unless the card says not."""

import inspect

import keras
import numpy as np

from layerzoo.testing.shown import argument_kinds, arguments, inputs, make, numbers

own = {
    "initializer": keras.initializers.Constant(0.7),
    "regularizer": keras.regularizers.L2(0.3),
}
parameters = inspect.signature(type(make()).__init__).parameters
others = {  # another value for each argument: one of our own, or its default
    name: own.get(argument_kinds.get(name, ""), parameters[name].default)
    for name in arguments
    if parameters[name].default is not inspect.Parameter.empty
}


def effects(**settings):
    keras.utils.set_random_seed(7)
    layer = make(**settings)
    layer(**inputs)
    found = numbers([v.value for v in layer.variables])
    rules = [(v.trainable, getattr(v, "constraint", None) is not None) for v in layer.variables]
    found += [np.array(rules)]
    found += [*numbers(layer(**inputs)), *numbers(layer(**inputs, training=True))]
    return found + numbers(layer.losses)


plain = effects()
for name, value in others.items():
    moved = effects(**{name: value})
    same = len(moved) == len(plain) and all(map(np.array_equal, moved, plain))
    if argument_kinds.get(name, "") == "initializer":
        same = not any(np.allclose(x, 0.7) for x in moved)
    assert not same, f"{name}={value!r} changes no start, no output, no loss and no training"
