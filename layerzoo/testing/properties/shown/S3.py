"""The output has the same dtypes if symbolic, eager and in training, in float32 and mixed precision."""

import keras

from layerzoo.testing.shown import inputs, make

symbols = keras.tree.map_structure(lambda x: keras.KerasTensor(x.shape, str(x.dtype)), inputs)
for policy in ("float32", "mixed_float16", "mixed_bfloat16"):
    keras.config.set_dtype_policy(policy)
    layer = make()
    said = [y.dtype for y in keras.tree.flatten(layer(**symbols))]
    outputs = keras.tree.flatten(layer(**inputs))
    found = [keras.backend.standardize_dtype(y.dtype) for y in outputs]
    assert said == found, f"policy {policy}: symbolic dtypes {said}, eager dtypes {found}"
    trained = [
        keras.backend.standardize_dtype(y.dtype)
        for y in keras.tree.flatten(layer(**inputs, training=True))
    ]
    assert trained == found, f"policy {policy}: {trained} in training, {found} at inference"
