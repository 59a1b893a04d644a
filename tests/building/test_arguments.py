import numpy as np
import pytest
from keras import layers

from layerzoo.building import arguments


@pytest.mark.parametrize("value", [1, 7, np.int64(3)])
def test_positive_integers_pass(value):
    assert type(arguments.positive_int(units=value)) is int
    assert arguments.optional_positive_int(units=value) == value
    assert arguments.optional_positive_int(units=None) is None


@pytest.mark.parametrize("value", [0, -3, 2.0, True, "4", float("nan")])
def test_anything_else_is_no_positive_integer(value):
    for rule in (arguments.positive_int, arguments.optional_positive_int):
        with pytest.raises(
            ValueError, match=r"`units` must be a positive integer. Received: units="
        ):
            rule(units=value)
    with pytest.raises(ValueError, match="Received: units=None"):
        arguments.positive_int(units=None)


@pytest.mark.parametrize("value", [1, 1e-9, np.float32(0.5)])
def test_positive_numbers_pass(value):
    assert type(arguments.positive_number(scale=value)) is float
    assert arguments.optional_non_negative_number(scale=value) == value
    assert arguments.optional_non_negative_number(scale=None) is None
    assert arguments.optional_non_negative_number(scale=0) == 0


@pytest.mark.parametrize("value", [0, -0.5, True, "1", float("nan"), float("inf"), 1j])
def test_anything_else_is_no_positive_number(value):
    with pytest.raises(ValueError, match=r"`scale` must be a positive number. Received: scale="):
        arguments.positive_number(scale=value)
    if value != 0:
        with pytest.raises(
            ValueError, match=r"`scale` must be 0 or a positive number. Received: s"
        ):
            arguments.optional_non_negative_number(scale=value)
    with pytest.raises(ValueError, match="Received: scale=None"):
        arguments.positive_number(scale=None)


@pytest.mark.parametrize("value", [0, 0.0, 0.3, 1, np.float32(1)])
def test_probabilities_pass(value):
    arguments.probability(rate=value)


@pytest.mark.parametrize("value", [-1e-9, 1.1, True, None, "0.5", float("nan")])
def test_anything_else_is_no_probability(value):
    with pytest.raises(ValueError, match=r"`rate` must be between 0 and 1. Received: rate="):
        arguments.probability(rate=value)


def test_one_of_some_options():
    assert arguments.one_of((None, "pre"), norm=None) is None
    assert arguments.one_of((None, "pre"), norm="pre") == "pre"
    with pytest.raises(
        ValueError, match=r"`norm` must be one of \(None, 'pre'\). Received: norm='post'"
    ):
        arguments.one_of((None, "pre"), norm="post")


def test_a_layer_or_none():
    layer = layers.Dense(3)
    assert arguments.optional_layer(position=layer) is layer
    assert arguments.optional_layer(gate=None) is None
    with pytest.raises(TypeError, match=r"`position` must be a Keras layer or None. Received: pos"):
        arguments.optional_layer(position=layers.Dense)


def test_the_width_must_be_known():
    assert arguments.known_width((None, None, 3)) == 3
    for shape in [(2, None), (), None]:
        with pytest.raises(ValueError, match=r"must have a known size. Received: input_shape="):
            arguments.known_width(shape)


def test_the_number_of_heads_must_be_known():
    assert arguments.known_heads((None, 3, None, None)) == 3
    for shape in [(2, None, 4, 4), (2,), (), None]:
        with pytest.raises(ValueError, match=r"heads must have a known size. Received: input_sh"):
            arguments.known_heads(shape)
