"""The contents of padded steps, even NaN, change no valid output, wherever the padding is."""

import keras
import numpy as np

from layerzoo.testing.shown import arguments, claimed, inputs, numbers

from .padded import arguments, claims, layer, masks, steps, tree, valid

bare = numbers(layer(**inputs))


def run(kept, value):
    fill = lambda x, m: np.where(m[..., None], x, np.float32(value)) if x.dtype.kind == "f" else x
    return numbers(
        layer(
            **{**inputs, **{n: tree(fill, inputs[n], masks(kept)[n]) for n in claims}},
            **arguments(masks(kept)),
        )
    )


right, left, nowhere = (
    lambda t: t < len(t) - 1,
    lambda t: t > 0,
    lambda t: t < 0,
)  # where steps are valid
for kept in (right, left, nowhere):
    for y, e in zip(run(kept, np.nan), run(kept, 0)):
        assert np.isfinite(e).all(), f"zeros in padding give {e}, not finite numbers"
        y, e = valid(y, kept), valid(e, kept)
        assert np.allclose(y, e, atol=1e-4), f"NaN in padding gives {y}, zeros {e}"
for y, e in zip(numbers(layer(**inputs)), bare):
    assert np.allclose(y, e, atol=1e-4), f"without a mask {y}, before any mask {e}"


def train(value):  # with the same noise each time
    seeds = [v.assign([7, 0]) for v in layer.variables if "seed_gen" in v.path]
    keras.utils.set_random_seed(7)
    fill = lambda x, m: np.where(m[..., None], x, np.float32(value)) if x.dtype.kind == "f" else x
    given = {**inputs, **{n: tree(fill, inputs[n], masks(left)[n]) for n in claims}}
    return numbers(layer(**given, **arguments(masks(left)), training=True))


if not claimed["state"]:
    for y, e in zip(train(50), train(0)):
        y, e = valid(y, left), valid(e, left)
        assert np.allclose(y, e, atol=1e-4), f"in training, 50 in padding gives {y}, zeros {e}"
if steps > 1:
    short = {**inputs, **{n: tree(lambda x: x[:, :-1], inputs[n]) for n in claims}}
    for y, e in zip(run(right, 0), numbers(layer(**short))):
        assert np.allclose(valid(y, right), e, atol=1e-4), (
            f"padded {valid(y, right)}, cut short {e}"
        )
if list(inputs) == list(claims) and {"b", "t"} <= set(claimed["dynamic"].split()):
    inputs = {n: tree(lambda x: np.concatenate([x[:1]] * 40, axis=1), x) for n, x in inputs.items()}
    steps *= 40
    for kept in (right, left):
        for y, e in zip(run(kept, np.nan), run(kept, 0)):
            y, e = valid(y, kept), valid(e, kept)
            assert np.allclose(y, e, atol=1e-4), (
                f"in {steps} steps of one sample {y}, with zeros {e}"
            )
