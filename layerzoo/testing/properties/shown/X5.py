"""With the same weights and inputs, outputs, masks and gradients agree on every installed backend."""

import json
import os
import subprocess
import sys
import tempfile
from importlib import util

import keras
import numpy as np

from layerzoo.testing.shown import built, inputs, numbers

layer, folder = built(), tempfile.mkdtemp()
given, answer = os.path.join(folder, "given.npz"), os.path.join(folder, "answer.npz")
arrays, weights = numbers(inputs), numbers(layer.weights)
np.savez(given, *arrays, *weights)
shape = json.dumps(keras.tree.map_structure(lambda _: 0, inputs))
code = f"""
import importlib, json, keras, numpy as np
given = list(np.load({given!r}).values())
cls = getattr(importlib.import_module({type(layer).__module__!r}), {type(layer).__name__!r})
layer = cls.from_config(json.loads({json.dumps(layer.get_config())!r}))
inputs = keras.tree.pack_sequence_as(json.loads({shape!r}), given[:{len(arrays)}])
layer(**inputs)
layer.set_weights(given[{len(arrays)}:])
outputs = map(keras.ops.convert_to_numpy, keras.tree.flatten(layer(**inputs)))
np.savez({answer!r}, *outputs)
"""
for other in {"tensorflow", "jax", "torch"} - {keras.backend.backend()}:
    if util.find_spec(other) is None:
        continue
    environment = {**os.environ, "KERAS_BACKEND": other, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    for y, x in zip(numbers(layer(**inputs)), np.load(answer).values()):
        assert np.allclose(x, y, atol=1e-4), f"{x.ravel()[:4]} on {other}, {y.ravel()[:4]} here"
