"""Integers become floats before a layer computes with them."""

import keras
import numpy as np
import pytest
from keras import ops
from recipes import arrays, each_card, first, shapes

from layerzoo import DropPath

SIZES = dict(b=2, t=5, s=6, y=5)


def kind(x):
    return keras.backend.standardize_dtype(x.dtype)


def values(x):
    return ops.convert_to_numpy(ops.cast(x, "float32"))


@each_card
def test_integers_give_what_floats_of_equal_value_give(card):
    config = card.configs(first)
    inputs = arrays(card, config, card.dims(first, config), **SIZES)
    layer = card.layer(**config)
    for dtype in ("uint8", "int32", "bool"):
        whole = {name: np.round(2 * abs(x)).astype(dtype) for name, x in inputs.items()}
        due = layer(**{name: x.astype("float32") for name, x in whole.items()})
        found = layer(**whole)
        assert kind(found) == "float32"
        np.testing.assert_allclose(values(found), values(due), rtol=1e-5, atol=1e-5)


@each_card
def test_a_symbolic_output_of_integers_has_the_dtype_of_an_eager_one(card):
    config = card.configs(first)
    given = shapes(card, config, card.dims(first, config), **SIZES)
    layer = card.layer(**config)
    symbolic = layer(**{name: keras.Input(x[1:], dtype="uint8") for name, x in given.items()})
    eager = layer(**{name: np.ones(x, "uint8") for name, x in given.items()})
    assert kind(symbolic) == kind(eager)


def test_integers_in_training():
    x = np.arange(24, dtype="int32").reshape(2, 3, 4)
    drop = DropPath(0.5, seed=1)
    assert kind(drop(x, training=True)) == "float32"
    kept = values(drop(x, training=True)).reshape(2, -1)
    for row, sample in zip(kept, 2 * x.reshape(2, -1), strict=True):
        assert not row.any() or np.array_equal(row, sample)


@pytest.mark.parametrize("offset", [0, 3])
def test_a_rate_of_one_gives_floats(offset):
    assert kind(DropPath(1.0)(np.arange(4, dtype="int32") + offset, training=True)) == "float32"
