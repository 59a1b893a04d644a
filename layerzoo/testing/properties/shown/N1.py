"""In half precision all dtypes follow the policy, inner layers too, and values stay near float32's."""

import keras
import numpy as np

from layerzoo.testing.shown import built, inputs, make, numbers

exact = built()
weights = exact.get_weights()
in_float32 = lambda y: keras.ops.cast(y, "float32")
single = lambda outputs: numbers(keras.tree.map_structure(in_float32, outputs))
for policy, share in (("mixed_float16", 2e-2), ("mixed_bfloat16", 1e-1), ("bfloat16", 1e-1)):
    half = make(dtype=policy)
    held = keras.tree.flatten([getattr(half, name, None) for name in half.get_config()])
    if any(isinstance(each, keras.Layer) for each in held):
        keras.config.set_dtype_policy(policy)  # which a layer that is passed in follows
        half = make(dtype=policy)
        keras.config.set_dtype_policy("float32")
    half(**inputs)
    for inner in half._flatten_layers():
        assert inner.dtype_policy.name == policy, f"{inner.name} has {inner.dtype_policy.name}"
    for w in half.weights:
        assert w.dtype != "float32" or policy != "bfloat16", f"{w.path} is float32 under {policy}"
    half.set_weights(weights)
    outputs = half(**inputs)
    but_states = outputs[:1] if getattr(half, "return_state", False) else outputs
    kinds = [str(y.dtype) for y in keras.tree.flatten(but_states)]
    assert "float32" not in " ".join(kinds), f"under {policy} the outputs are {kinds}"
    for y, e in zip(single(outputs), single(exact(**inputs))):
        error, allowed = np.max(abs(y - e)), share * max(1, np.max(abs(e)))
        wrong = f"{policy} {y.ravel()[:4]}, float32 {e.ravel()[:4]}: off by {error}"
        assert error <= allowed, wrong
