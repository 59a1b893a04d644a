"""`repr`, a model's `summary` and `count_params` work, and the examples in the docstring run."""

import inspect
import re
import textwrap

import keras
import numpy as np

from layerzoo.testing.shown import inputs, make

layer = make()
assert repr(layer), "the text form (`repr`) is empty before the first call"
layer(**inputs)
assert repr(layer), "the text form (`repr`) is empty after the first call"
weights = sum(int(np.prod(w.shape)) for w in layer.weights)
assert layer.count_params() == weights, f"count_params {layer.count_params()}, weights {weights}"
symbols = keras.tree.map_structure(lambda x: keras.Input(x.shape[1:], dtype=x.dtype), inputs)
keras.Model(keras.tree.flatten(symbols), layer(**symbols)).summary()
text, known = inspect.cleandoc(type(layer).__doc__ or ""), {"keras": keras, "np": np}
for example in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
    exec(textwrap.dedent(example), {**known, type(layer).__name__: type(layer)})
