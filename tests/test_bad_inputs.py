"""Bad arguments and inputs are refused with a message that says which, and nothing has changed by then."""

import inspect
import re
from numbers import Real

import keras
import numpy as np
import pytest
from keras import ops
from keras.layers import PReLU
from recipes import CARDS, arrays, each_draw, first, last, shapes

from layerzoo import BottleneckBlock, InvertedResidual, ResNetBlock


def named(error, config):
    """Whether a message gives the rule for an argument of the config, then the value received."""
    rule, _, received = str(error).rpartition("Received: ")
    said = [name for name in config if f"`{name}`" in rule]
    return any(f"{name}={config[name]!r}" in received for name in said)


@pytest.mark.parametrize(
    ("card", "config"),
    [
        pytest.param(card, config, id=f"{card.name}-{number}")
        for card in CARDS
        for number, config in enumerate(card.errors)
    ],
)
def test_a_bad_argument_is_refused_by_its_name_and_value(card, config):
    with pytest.raises((ValueError, TypeError), match=r"^`\w+` must .*\. Received: ") as caught:
        card.layer(**config)
    assert named(caught.value, config), str(caught.value)


def numbers(card):
    """The arguments that take a number, without seeds, which are Keras's business."""
    configs = [card.configs(pick) for pick in (first, last)]
    found = {name: value for config in configs for name, value in config.items() if name != "seed"}
    return [
        n for n, value in found.items() if isinstance(value, Real) and not isinstance(value, bool)
    ]


@pytest.mark.parametrize("value", ["4", float("nan"), True])
@pytest.mark.parametrize(
    ("card", "name"),
    [
        pytest.param(card, name, id=f"{card.name}-{name}")
        for card in CARDS
        for name in numbers(card)
    ],
)
def test_what_must_be_a_number_is_one(card, name, value):
    with pytest.raises((ValueError, TypeError), match=r"\. Received: ") as caught:
        card.layer(**{**card.configs(first), name: value})
    assert named(caught.value, {name: value}), str(caught.value)


FUNCTIONS = ("activation", "gate_activation", "feature_map")


@pytest.mark.parametrize("value", ["nonsense", 3])
@pytest.mark.parametrize(
    ("card", "name"),
    [
        pytest.param(card, name, id=f"{card.name}-{name}")
        for card in CARDS
        for name in FUNCTIONS
        if name in inspect.signature(card.layer).parameters
    ],
)
def test_what_must_be_an_activation_is_one(card, name, value):
    with pytest.raises(ValueError, match=rf"^`{name}` must be .* Received: {name}={value!r}$"):
        card.layer(**{**card.configs(first), name: value})


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (
            lambda: ResNetBlock(4, activation=PReLU()),
            r"shape \(None, None, None, 4\).*fully-defined",
        ),
        (lambda: BottleneckBlock(8, activation=PReLU(shared_axes=[1, 2])), "axis 3 .* value 2"),
        (
            lambda: InvertedResidual(4, squeeze_ratio=2, activation=PReLU(shared_axes=[1, 2])),
            r"shape \(None, 12\)",
        ),
    ],
)
def test_an_activation_whose_weights_do_not_fit_is_refused_in_one_line(make, told):
    layer = make()
    with pytest.raises(ValueError, match=rf"^`activation` must take inputs of .*{told}") as caught:
        layer(keras.Input((None, None, 4)))
    assert "\n" not in str(caught.value)
    assert not layer.built


def fixed_axes(card, config):
    """The axes of the first input whose size must be known, without the batch."""
    letters = next(iter(card.tensors(config).values())).letters
    dynamic = card.traits.under(config).dynamic.split()
    return [i for i, letter in enumerate(letters) if i and letter not in dynamic]


@each_draw(fixed_axes)
def test_a_size_that_must_be_known_is_asked_for(card, draw):
    config, fixed = draw()
    layer = card.layer(**config)
    name, *others = given = shapes(card, config, fixed, t=5, s=5)
    for axis in fixed_axes(card, config):
        shape = [None if i == axis else size for i, size in enumerate(given[name])]
        symbols = {n: keras.Input(given[n][1:]) for n in others} | {name: keras.Input(shape[1:])}
        with pytest.raises(ValueError, match=r"must have a known size\. Received: input_shape="):
            layer(**symbols)
    with pytest.raises(ValueError, match=r"must have a known size\. Received: input_shape=None"):
        layer.build(None)
    assert not layer.built
    assert not layer.variables


@each_draw()
def test_an_axis_of_size_zero_is_refused_or_gives_numbers(card, draw):
    config, fixed = draw()
    letters = {letter for tensor in card.tensors(config).values() for letter in tensor.letters}
    needed = {
        next(iter(card.tensors(config).values())).letters[i] for i in fixed_axes(card, config)
    }
    for letter in letters - {"b"}:
        layer = card.layer(**config)
        inputs = arrays(card, config, {**fixed, letter: 0}, **{"t": 5, "s": 5, letter: 0})
        try:
            found = ops.convert_to_numpy(layer(**inputs))
        except ValueError as error:
            refused = str(error)
        else:
            assert letter not in needed
            assert np.isfinite(found).all()
            continue
        finally:
            config = draw()[0]  # for the next letter: what was handed in is built now
        assert re.search(r"empty.*Received: (input_shape=|condition of shape )\(", refused)
        assert not layer.built
        assert not layer.variables


@each_draw(fixed_axes)
def test_another_size_than_it_was_built_for_is_refused(card, draw, randomise):
    config, fixed = draw()
    inputs = arrays(card, config, fixed, t=5, s=5)
    layer = card.layer(**config)
    layer(**inputs)
    randomise(layer)
    before = layer.get_weights()
    name, x = next(iter(inputs.items()))
    for axis in fixed_axes(card, config):
        wrong = np.concatenate([x, x], axis)
        told = rf"value {x.shape[axis]}, but received input with shape \({wrong.shape[0]}, "
        with pytest.raises(ValueError, match=told):
            layer(**{**inputs, name: wrong})
    for weight, value in zip(layer.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, value)


@each_draw()
def test_an_axis_too_few_is_refused_or_taken_for_one_of_size_one(card, draw):
    config, fixed = draw()
    inputs = arrays(card, config, fixed, t=5, s=5)
    name, x = next(iter(inputs.items()))
    axis = next(i for i in range(1, x.ndim) if i not in fixed_axes(card, config))
    layer = card.layer(**config)
    try:
        found = layer(**{**inputs, name: x.take(0, axis)})
    except ValueError as error:
        refused = str(error)
    else:
        due = ops.convert_to_numpy(layer(**{**inputs, name: x.take([0], axis)}))
        found = ops.convert_to_numpy(found)
        np.testing.assert_allclose(found, due.take(0, axis), rtol=1e-5, atol=1e-6)
        return
    # or another input no longer has the axes of the first
    assert re.search(r"ndim=\d, found ndim=\d|^`\w+` must have .*shape of the inputs", refused)
    assert not layer.built
    assert not layer.variables


@each_draw(lambda card, config: config.get("num_heads", 1) > 1)
def test_heads_that_do_not_divide_the_width_are_refused(card, draw):
    config, fixed = draw()
    layer = card.layer(**{**config, **({"head_dim": None} if "head_dim" in config else {})})
    (letter,) = fixed
    inputs = arrays(card, config, {letter: fixed[letter] + 1}, t=5, s=5)
    told = rf"must divide.*Received: .*num_heads={config['num_heads']}, input_shape=\(2, "
    with pytest.raises(ValueError, match=told):
        layer(**inputs)
    assert not layer.built
    assert not layer.variables
