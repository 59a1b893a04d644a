"""Which masks a layer takes. The kit's M3 and M4 check most of it: what fits is taken, all else refused."""

import inspect

import keras
import numpy as np
import pytest
from keras import ops
from recipes import CARDS, arrays, first, shapes

from layerzoo import SelfAttention

SIZES = dict(b=2, t=5, s=6, y=5)
TAKERS = [
    card
    for card in CARDS
    if any(name.endswith("mask") for name in inspect.signature(card.layer.call).parameters)
]


def rows(b, t):
    """The last step of the first sample is padding."""
    return np.arange(t) < np.array([t - 1] + [t] * (b - 1))[:, None]


def test_every_layer_that_takes_a_mask_claims_to_refuse_others():
    claims = {card.name: card.traits.under(card.configs(first)).strict_masks for card in TAKERS}
    assert claims == dict.fromkeys(claims, True)
    assert len(claims) >= 12


@pytest.mark.parametrize("card", TAKERS, ids=lambda card: card.name)
def test_a_symbolic_mask_of_another_length_is_refused_too(card):
    config = card.configs(first)
    given = shapes(card, config, card.dims(first, config), **SIZES)
    inputs = {name: keras.Input(shape[1:]) for name, shape in given.items()}
    main, t = inputs[next(iter(inputs))], next(iter(given.values()))[1]
    layer = card.layer(**config)
    for length in (t + 1, 1):
        with pytest.raises(ValueError, match=rf"`mask` must .*\(None, {length}\)"):
            layer(main, mask=keras.Input((length,), dtype="bool"))
    layer(main, mask=keras.Input((t,), dtype="bool"))


def test_an_image_may_have_a_mask_of_rows_or_of_pixels():
    for card in TAKERS:
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


def test_a_compiled_model_takes_masks_of_numbers():
    inputs, mask = keras.Input((None, 4)), keras.Input((None,), dtype="int32")
    model = keras.Model([inputs, mask], SelfAttention(2)(inputs, mask=mask))
    x = np.random.default_rng(0).normal(size=(2, 5, 4)).astype("float32")
    padded = rows(2, 5).astype("int32")
    due = ops.convert_to_numpy(model([x, padded]))
    model.compile(loss="mse", jit_compile=keras.backend.backend() != "torch")
    np.testing.assert_allclose(model.predict([x, padded], verbose=0), due, atol=1e-6)
