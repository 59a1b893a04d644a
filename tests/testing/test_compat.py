"""What is private to Keras: each name is found where it is, and missed where it is gone."""

import types

import keras
import numpy as np
import pytest

from layerzoo.testing import Inconclusive, compat

MASK = np.array([[True, True, False]])


def _backend(monkeypatch, here=(), common=()):
    """Let Keras's backend have its functions for masks in these places alone."""
    from keras.src.backend.common import masking

    def functions(names):
        return {name: getattr(masking, name) for name in names}

    inner = types.SimpleNamespace(**functions(common))
    backend = types.SimpleNamespace(common=inner, **functions(here))
    monkeypatch.setattr(keras.src, "backend", backend)


BOTH = ("get_keras_mask", "set_keras_mask")


@pytest.mark.parametrize(
    "places", [dict(here=BOTH), dict(common=BOTH), dict(here=BOTH, common=BOTH)]
)
def test_the_functions_for_masks_are_found_where_keras_has_them(monkeypatch, places):
    x = keras.ops.ones((1, 3, 2))
    _backend(monkeypatch, **places)
    assert compat.mask_of(x) is None
    assert compat.with_mask(x, MASK) is x
    assert compat.mask_of(x) is MASK


def test_where_they_are_gone_nothing_is_concluded(monkeypatch):
    x = keras.ops.ones((1, 3, 2))
    _backend(monkeypatch)
    for ask, name in (
        (lambda: compat.mask_of(x), BOTH[0]),
        (lambda: compat.with_mask(x, MASK), BOTH[1]),
    ):
        with pytest.raises(
            Inconclusive, match=f"Received: Keras {keras.__version__} without `{name}`"
        ):
            ask()


def test_what_masking_put_on_a_tensor_is_what_is_read():
    x = keras.layers.Masking()(np.array([[[1.0], [2.0], [0.0]]], "float32"))
    assert np.array_equal(compat.array(compat.mask_of(x)), MASK)
