"""Every variable that the layer makes is listed in `variables`."""

import gc
import weakref

import keras

from layerzoo.testing.shown import arguments, inputs, make

kind = type(make())
made: list[weakref.ref] = []
base = next(each for each in keras.Variable.__mro__ if "__init__" in vars(each))
original = base.__init__


def recording(self, *args, **kwargs):
    original(self, *args, **kwargs)
    made.append(weakref.ref(self))


base.__init__ = recording
try:
    layer = kind(**arguments)
    layer(**inputs)
finally:
    base.__init__ = original
gc.collect()  # a variable that nothing holds is not lost
held = [variable for reference in made if (variable := reference()) is not None]
lost = [v.path for v in held if not any(v is known for known in layer.variables)]
assert not lost, f"made and not among the layer's variables: {lost}"
