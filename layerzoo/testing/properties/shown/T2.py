"""Padding takes no place in a state: after prompts of unequal length, each sample goes on as if alone."""

import inspect

import keras
import numpy as np
from keras.src.backend.common import masking as on_tensors

from layerzoo.testing.shown import numbers

from .close import assert_close
from .steps import go_on, half, layer, n, name, start, x

place, taken = np.arange(n), inspect.signature(layer.call).parameters
argument = [each for each in (f"{name}_mask", "mask") if each in taken][:1]
prompt, state = go_on(x[:, :half], start())
due, _ = go_on(x[:, half:], state)
inside = (place < half // 2) | (place >= n - half + half // 2)
for where, kept in {"right": place < half, "left": place >= n - half, "inside": inside}.items():
    padded = np.full_like(x, np.nan if x.dtype.kind == "f" else 0)
    padded[:, kept] = x[:, :half]
    mask = np.broadcast_to(kept, x.shape[:2]).copy()
    for form in ("on the tensor", *argument):
        given = keras.ops.convert_to_tensor(padded)
        if form == "on the tensor":
            on_tensors.set_keras_mask(given, keras.ops.convert_to_tensor(mask))
        outputs, state = go_on(given, start(), **({} if form == "on the tensor" else {form: mask}))
        what = f"padding {where}, mask {form}, and no padding"
        valid = [y[:, kept] for y in numbers(outputs) if y.shape[1:2] == (n,)]
        assert_close(valid, [y for y in numbers(prompt) if y.shape[1:2] == (half,)], what)
        assert_close(go_on(x[:, half:], state)[0], due, f"the steps after {what}")
