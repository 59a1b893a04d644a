"""A mask has the same effect as an argument, on a tensor and in a model, as bool, int or float."""

import keras
import numpy as np
from keras.src.backend.common import masking as on_tensors

from layerzoo.testing.shown import inputs, numbers

from .padded import as_arguments, claims, layer, masks, names, tree, valid

kept = lambda t: t < max(1, len(t) - 1)
given = masks(kept)
tensors = tree(keras.ops.convert_to_tensor, inputs)
for n in claims:
    carry = lambda x, m: on_tensors.set_keras_mask(x, keras.ops.convert_to_tensor(m))
    tree(carry, tensors[n], given[n])
due = numbers(layer(**inputs, **as_arguments(given)))
forms = {"of floats by argument": as_arguments(given, "float32"), "on the tensor": tensors}
for form, how in forms.items():
    if form != "on the tensor" or any(names.values()):
        for y, e in zip(numbers(layer(**{**inputs, **how})), due):
            y, e = valid(y, kept), valid(e, kept)
            same = np.allclose(y, e, atol=1e-4)
            assert same, f"with a mask {form} {y}, of booleans by argument {e}"
