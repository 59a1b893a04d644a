"""The contents of padded steps, even NaN, change no valid output, wherever the padding is."""

import keras
import numpy as np

from layerzoo.testing.shown import claimed, inputs, numbers

from .padded import as_arguments, claims, layer, masks, steps, tree, valid

bare = numbers(layer(**inputs))


def run(kept, value, given=inputs, **how):
    fill = lambda x, m: np.where(m[..., None], x, np.float32(value)) if x.dtype.kind == "f" else x
    filled = {n: tree(fill, given[n], masks(kept, given)[n]) for n in claims}
    return numbers(layer(**{**given, **filled}, **as_arguments(masks(kept, given)), **how))


right = lambda t: t < len(t) - 1  # where steps are valid
left = lambda t: t > 0
nowhere = lambda t: t < 0
for kept in (right, left, nowhere):
    for y, e in zip(run(kept, np.nan), run(kept, 0)):
        assert np.isfinite(e).all(), f"zeros in padding give {e}, not finite numbers"
        y, e = valid(y, kept), valid(e, kept)
        assert np.allclose(y, e, atol=1e-4), f"NaN in padding gives {y}, zeros {e}"
for y, e in zip(numbers(layer(**inputs)), bare):
    assert np.allclose(y, e, atol=1e-4), f"without a mask {y}, before any mask {e}"


def train(value):  # with the same noise each time
    [v.assign([7, 0]) for v in layer.variables if "seed_gen" in v.path]
    keras.utils.set_random_seed(7)
    return run(left, value, training=True)


if not claimed["state"]:
    for y, e in zip(train(50), train(0)):
        y, e = valid(y, left), valid(e, left)
        assert np.allclose(y, e, atol=1e-4), f"in training, 50 in padding gives {y}, zeros {e}"
if steps > 1:
    short = {**inputs, **{n: tree(lambda x: x[:, :-1], inputs[n]) for n in claims}}
    for y, e in zip(run(right, 0), numbers(layer(**short))):
        y = valid(y, right)
        assert np.allclose(y, e, atol=1e-4), f"padded {y}, cut short {e}"
if list(inputs) == list(claims) and {"b", "t"} <= set(claimed["dynamic"].split()):
    many = 40 * steps
    long = {n: tree(lambda x: np.concatenate([x[:1]] * 40, axis=1), x) for n, x in inputs.items()}
    for kept in (right, left):
        for y, e in zip(run(kept, np.nan, long), run(kept, 0, long)):
            y, e = valid(y, kept, many), valid(e, kept, many)
            same = np.allclose(y, e, atol=1e-4)
            assert same, f"in {many} steps of one sample NaN in padding gives {y}, zeros {e}"
