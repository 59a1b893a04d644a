"""With the same weights and inputs, outputs, masks and gradients agree on every installed backend."""

import importlib
import json
import os
import subprocess
import sys
import tempfile

import keras
import numpy as np

from layerzoo.testing.shown import built, inputs

layer = built()
path = os.path.join(tempfile.mkdtemp(), "found.npz")
named = lambda xs: {f"{i:03}": np.asarray(keras.ops.convert_to_numpy(x)) for i, x in enumerate(xs)}
weights, arrays = named(layer.weights), named(keras.tree.flatten(inputs))
np.savez(
    path, **{f"w{k}": x for k, x in weights.items()}, **{f"x{k}": x for k, x in arrays.items()}
)
shape = json.dumps(keras.tree.map_structure(lambda _: 0, inputs))
code = f"""
import importlib, json, keras, numpy as np
found = np.load({path!r})
cls = getattr(importlib.import_module({type(layer).__module__!r}), {type(layer).__name__!r})
layer = cls.from_config(json.loads({json.dumps(layer.get_config())!r}))
arrays = [found[k] for k in found if k[0] == "x"]
inputs = keras.tree.pack_sequence_as(json.loads({shape!r}), arrays)
layer(**inputs)
layer.set_weights([found[k] for k in found if k[0] == "w"])
outputs = map(keras.ops.convert_to_numpy, keras.tree.flatten(layer(**inputs)))
np.savez({path!r}, *outputs)
"""
for other in {"tensorflow", "jax", "torch"} - {keras.backend.backend()}:
    if importlib.util.find_spec(other) is None:
        continue
    kept = open(path, "rb").read()
    environment = {**os.environ, "KERAS_BACKEND": other, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    found = list(np.load(path).values())
    open(path, "wb").write(kept)
    for y, x in zip(keras.tree.flatten(layer(**inputs)), found):
        y = keras.ops.convert_to_numpy(y)
        assert np.allclose(x, y, atol=1e-4), f"{x.ravel()[:4]} on {other}, {y.ravel()[:4]} here"
