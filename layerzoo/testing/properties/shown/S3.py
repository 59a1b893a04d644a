"""The output has the same dtypes if symbolic, eager and in training, in float32 and mixed precision."""

import keras

from layerzoo.testing.shown import inputs, make


def dtypes(outputs):
    return [keras.backend.standardize_dtype(y.dtype) for y in keras.tree.flatten(outputs)]


symbols = keras.tree.map_structure(lambda x: keras.KerasTensor(x.shape, str(x.dtype)), inputs)
for policy in ("float32", "mixed_float16", "mixed_bfloat16"):
    keras.config.set_dtype_policy(policy)
    layer = make()
    told, found = dtypes(layer(**symbols)), dtypes(layer(**inputs))
    assert told == found, f"policy {policy}: symbolic dtypes {told}, eager dtypes {found}"
    trained = dtypes(layer(**inputs, training=True))
    assert trained == found, f"policy {policy}: {trained} in training, {found} at inference"
