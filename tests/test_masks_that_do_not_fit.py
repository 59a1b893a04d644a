"""A mask is boolean, or 0 and 1, and of the shape that the layer says, or it is refused by its name."""

import inspect
import re

import keras
import numpy as np
import pytest
from keras import ops
from recipes import CARDS, arrays, first, shapes

from layerzoo import Residual, SelfAttention

T = 5
SIZES = dict(b=2, t=T, s=T + 1, y=T)
MASKS = [
    pytest.param(card, name, id=f"{card.name}-{name}")
    for card in CARDS
    for name in inspect.signature(card.layer.call).parameters
    if name == "mask" or name.endswith("_mask")
]
each_mask = pytest.mark.parametrize(("card", "name"), MASKS)


def made(card, name):
    """A layer, its inputs, and the sizes of the batch and the steps of the input that the mask is for."""
    config = card.configs(first)
    fixed = card.dims(first, config)
    inputs = arrays(card, config, fixed, **SIZES)
    main = next(iter(inputs))
    masked = name.removesuffix("_mask") if name != "mask" else main
    return card.layer(**config), inputs, inputs[masked].shape[:2]


def rows(b, t):
    """The last step of the first sample is padding."""
    return np.arange(t) < np.array([t - 1] + [t] * (b - 1))[:, None]


def answer(layer, inputs, masks):
    """What a layer says to its inputs and masks."""
    try:
        layer(**inputs, **masks)
    except ValueError as error:
        return str(error)
    return "accepted in silence"


@each_mask
def test_a_mask_that_does_not_fit_is_refused(card, name):
    layer, inputs, (b, t) = made(card, name)
    ones = np.ones((b, t), "float32")
    unfit = {
        "longer": np.ones((b, t + 1), bool),
        "shorter": np.ones((b, t - 1), bool),
        "one step": np.ones((b, 1), bool),
        "one sample": np.ones((1, t), bool),
        "more samples": np.ones((b + 1, t), bool),
        "one of each": np.ones((1, 1), bool),
        "no batch": np.ones(t, bool),
        "no steps": np.ones(b, bool),
        "a number": np.array(True),
        "an axis of one": np.ones((b, t, 1), bool),
        "an axis too many": np.ones((*next(iter(inputs.values())).shape, 1), bool),
        "True": True,
        "one": 1,
        "a word": "valid",
        "words": [["yes"] * t] * b,
        "ragged": [[True] * t, [True]],
        "a share": ones * 0.3,
        "a bias": np.where(rows(b, t), 0.0, -1e9).astype("float32"),
        "NaN": np.where(rows(b, t), 1.0, np.nan).astype("float32"),
        "counts": 2 * rows(b, t).astype("int32"),
    }
    due = rf"`{name}` must be boolean, or 0 and 1, of shape \({b}, {t}\).*\. Received: {name}[= ]"
    told = {kind: answer(layer, inputs, {name: mask}) for kind, mask in unfit.items()}
    assert {kind: text for kind, text in told.items() if not re.search(due, text)} == {}


@each_mask
def test_a_mask_that_fits_is_taken_in_each_form(card, name):
    layer, inputs, sizes = made(card, name)
    mask = rows(*sizes)
    forms = [
        mask.astype("float32"),
        mask.astype("uint8"),
        mask.tolist(),
        ops.convert_to_tensor(mask),
    ]
    due = ops.convert_to_numpy(layer(**inputs, **{name: mask}))
    for form in forms:
        np.testing.assert_array_equal(ops.convert_to_numpy(layer(**inputs, **{name: form})), due)


@each_mask
def test_a_symbolic_mask_of_another_length_is_refused(card, name):
    layer, _, (_, t) = made(card, name)
    config = card.configs(first)
    given = shapes(card, config, card.dims(first, config), **SIZES)
    symbols = {each: keras.Input(shape[1:]) for each, shape in given.items()}
    for length in (t + 1, 1):
        with pytest.raises(ValueError, match=rf"`{name}` must .*\(None, {length}\)"):
            layer(**symbols, **{name: keras.Input((length,), dtype="bool")})
    layer(**symbols, **{name: keras.Input((t,), dtype="bool")})


def test_an_image_may_have_a_mask_of_rows_or_of_pixels():
    for card in [card for card, name in (case.values for case in MASKS)]:
        config = card.configs(first)
        inputs = arrays(card, config, card.dims(first, config), **SIZES)
        x = next(iter(inputs.values()))
        if x.ndim > 3:
            layer = card.layer(**config)
            pixels = np.broadcast_to(rows(*x.shape[:2])[..., None], x.shape[:3])
            by_rows, by_pixels = (
                ops.convert_to_numpy(layer(x, mask=mask)) for mask in (pixels[..., 0], pixels)
            )
            np.testing.assert_allclose(by_rows, by_pixels, atol=1e-6)


@pytest.mark.parametrize("inner", [SelfAttention(2), [SelfAttention(2), keras.layers.Dense(4)]])
def test_a_wrapper_refuses_for_the_layers_inside(inner):
    layer, x = Residual(inner), np.ones((2, T, 4), "float32")
    for mask in (np.ones((2, T + 1), bool), np.ones((2, 1), bool), 0.3 * np.ones((2, T))):
        with pytest.raises(ValueError, match=r"`mask` must be boolean.*Received: mask"):
            layer(x, mask=mask)


def test_a_mask_on_a_tensor_is_looked_at_too():
    x = keras.layers.Masking()(np.ones((2, T, 4), "float32"))
    SelfAttention(2)(x)
    with pytest.raises(
        ValueError, match=r"`mask` must be boolean.*Received: mask of shape \(2, 5\)"
    ):
        SelfAttention(2)(x[:, :3], mask=x._keras_mask)


def test_a_compiled_model_takes_masks_of_numbers():
    inputs, mask = keras.Input((None, 4)), keras.Input((None,), dtype="int32")
    model = keras.Model([inputs, mask], SelfAttention(2)(inputs, mask=mask))
    x = np.random.default_rng(0).normal(size=(2, T, 4)).astype("float32")
    padded = rows(2, T).astype("int32")
    due = ops.convert_to_numpy(model([x, padded]))
    model.compile(loss="mse", jit_compile=keras.backend.backend() != "torch")
    np.testing.assert_allclose(model.predict([x, padded], verbose=0), due, atol=1e-6)
