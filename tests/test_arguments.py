"""Every layer takes NumPy's numbers and booleans as Python's, and refuses what is neither."""

import inspect
import json
from decimal import Decimal
from fractions import Fraction

import keras
import numpy as np
import pytest
from keras import initializers, layers, ops
from recipes import CARDS, arrays, first, last

from layerzoo import Residual, SelfAttention, WindowAttention


def arguments(kind):
    """Each layer with each of its arguments whose annotation names a type, and a config that moves it."""
    for card in CARDS:
        for name, parameter in inspect.signature(card.layer.__init__).parameters.items():
            said = str(parameter.annotation)
            said = getattr(parameter.annotation, "__name__", said) if "|" not in said else said
            if kind in said.split(" | "):
                yield pytest.param(card, name, id=f"{card.name}-{name}")


each_int = pytest.mark.parametrize(("card", "name"), list(arguments("int")))
each_float = pytest.mark.parametrize(("card", "name"), list(arguments("float")))
each_bool = pytest.mark.parametrize(("card", "name"), list(arguments("bool")))
each_initializer = pytest.mark.parametrize(
    ("card", "name"),
    [
        pytest.param(card, name, id=f"{card.name}-{name}")
        for card in CARDS
        for name in inspect.signature(card.layer.__init__).parameters
        if name.endswith("_initializer")
    ],
)


def set_in(card, name, value=None):
    """A config in which the argument has a value: the one given, or its own in some config of the card."""
    for pick in (first, last):
        config = card.configs(pick)
        if value is not None or config.get(name) is not None:
            return config if value is None else {**config, name: value}
    return config


def called(card, config):
    layer = card.layer(**config)
    fixed = card.dims(first, config)
    layer(**arrays(card, config, fixed, b=2, t=5, s=6, y=5))
    return layer


@each_int
def test_integers_of_numpy_become_ints(card, name):
    config = set_in(card, name)
    value = config[name]
    for kind in (np.int64, np.uint8):
        layer = card.layer(**{**config, name: kind(value)})
        assert type(getattr(layer, name)) is int
        assert layer.get_config()[name] == value
        json.dumps(layer.get_config()[name])


def test_layers_of_nothing_but_small_integers_work():
    for card in CARDS:
        config = card.configs(first)
        if "data_format" not in config:
            small = {
                name: np.uint8(x) if type(x) is int and x < 256 else x for name, x in config.items()
            }
            called(card, small)


@each_int
@pytest.mark.parametrize(
    "value", ["2", 2.0, True, np.True_, Fraction(2), Decimal(2), np.array([2])]
)
def test_what_is_no_integer_is_refused(card, name, value):
    with pytest.raises(ValueError, match=rf"`{name}` must .*Received: .*{name}="):
        card.layer(**set_in(card, name, value))


@each_float
def test_numbers_of_numpy_become_floats(card, name):
    config = set_in(card, name)
    for kind in (np.float64, np.float32, np.float16):
        value = kind(0.5 if config[name] is None or config[name] < 1 else config[name])
        layer = card.layer(**{**config, name: value})
        assert type(getattr(layer, name)) is float
        assert json.loads(json.dumps(layer.get_config()[name])) == float(value)
    assert type(getattr(card.layer(**{**config, name: np.int32(1)}), name)) is float


@each_float
@pytest.mark.parametrize(
    "value", ["1", True, np.True_, Fraction(1, 2), Decimal("0.5"), 10**400, np.nan, 1j]
)
def test_what_is_no_number_is_refused(card, name, value):
    with pytest.raises(ValueError, match=rf"`{name}` must .*Received: {name}="):
        card.layer(**set_in(card, name, value))


@each_bool
def test_booleans(card, name):
    config = card.configs(first)
    for value in (True, np.True_):
        layer = card.layer(**{**config, name: value})
        assert getattr(layer, name) is True
    for value in ("a", "False", 1, 0.0, None, np.array([True])):
        with pytest.raises(ValueError, match=rf"`{name}` must be True or False. Received: {name}="):
            card.layer(**{**config, name: value})


@pytest.mark.parametrize("value", ["a", 1.5, -1, 2**31, True, keras.random.SeedGenerator])
@pytest.mark.parametrize(
    "card", [card for card in CARDS if "seed" in card.configs(first)], ids=lambda card: card.name
)
def test_a_seed_is_looked_at_when_the_layer_is_made(card, value):
    with pytest.raises(ValueError, match=r"`seed` must be None or an integer .*Received: seed="):
        card.layer(**{**card.configs(first), "seed": value})
    card.layer(**{**card.configs(first), "seed": 2**31 - 1})


@keras.saving.register_keras_serializable("testing")
def halves(shape, dtype=None):
    return ops.full(shape, 0.5, dtype=dtype)


@each_initializer
def test_an_initializer_may_be_a_function_or_none(card, name):
    layer = called(card, {**card.configs(first), name: halves})
    values = [ops.convert_to_numpy(weight) for weight in layer.weights]
    assert any((value == 0.5).all() for value in values)
    again = card.layer.from_config(layer.get_config())
    assert getattr(again, name) is halves
    layer = called(card, {**card.configs(first), name: None})
    assert layer.get_config()[name] is None
    assert getattr(card.layer.from_config(layer.get_config()), name) is None


@each_initializer
def test_what_is_no_initializer_is_refused(card, name):
    for value in (5, "no such initializer", object()):
        with pytest.raises(ValueError, match=rf"`{name}` must be .*Received: {name}="):
            card.layer(**{**card.configs(first), name: value})


def test_two_kernels_of_one_initializer_differ():
    layer = SelfAttention(2, kernel_initializer=initializers.RandomNormal(seed=1))
    layer.build((2, 3, 4))
    kernels = [layer.project_in.kernel, layer.project_out.kernel]
    a, b = (ops.convert_to_numpy(kernel) for kernel in kernels)
    assert not np.array_equal(a[:4, :4], b[:4, :4])


def test_a_shift_of_numpy():
    layer = WindowAttention(np.int64(2), np.uint8(4), shift=np.uint8(3))
    assert (layer.shift, type(layer.shift)) == (3, int)
    layer(np.ones((1, 5, 5, 4), "float32"))


def test_names_of_numpy():
    assert type(Residual(layers.Dense(4), norm=np.str_("pre")).norm) is str
    with pytest.raises(ValueError, match=r"`norm` must be one of"):
        Residual(layers.Dense(4), norm=np.array(["pre", "post"]))
