"""What `get_config` of every recipe owes its reader: every argument, in order, as it was given."""

import inspect
import json

import keras
import numpy as np
from recipes import each_card


def walk(card):
    """The plain config of a card, and one for each option of each of its picks, and the last ones."""
    options = []

    def first(choices):
        options.append(len(choices))
        return choices[0]

    def instead(turn, choice):
        turns = iter(range(1000))  # picks come in the same order each time
        return lambda choices: choices[choice if next(turns) == turn else 0]

    configs = [card.configs(first), card.configs(lambda choices: choices[-1])]
    for turn, number in enumerate(options):
        configs += [card.configs(instead(turn, choice)) for choice in range(1, number)]
    return configs


def parameters(card):
    """The constructor's own parameters by name."""
    found = inspect.signature(card.layer.__init__).parameters
    return {name: found[name] for name in found if name not in ("self", "kwargs")}


def plain(value):
    """A constructor argument as data that can be compared."""
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if hasattr(value, "get_config"):
        return [type(value).__name__, value.get_config()]
    return value


def build_and_call(card, layer, config):
    sizes = card.dims(lambda choices: choices[0], config)
    axes = {name: tensor.letters for name, tensor in card.tensors(config).items()}
    shapes = {name: [sizes.get(letter, 3) for letter in letters] for name, letters in axes.items()}
    layer(**{name: np.ones(shape, "float32") for name, shape in shapes.items()})


@each_card
def test_every_argument_is_moved_off_its_default_by_some_pick(card):
    configs = walk(card)
    for name, parameter in parameters(card).items():
        given = [plain(config[name]) for config in configs if name in config]
        if parameter.default is inspect.Parameter.empty:
            assert any(value != given[0] for value in given), f"{name} has one value only"
        else:
            assert any(value != parameter.default for value in given), (
                f"{name} stays at its default"
            )


@each_card
def test_the_config_names_every_argument_in_the_order_of_the_signature(card):
    for config in walk(card):
        layer = card.layer(**config)
        assert list(layer.get_config()) == ["name", "trainable", "dtype", *parameters(card)]


@each_card
def test_build_and_call_do_not_change_the_config(card):
    for config in walk(card)[:2]:
        layer = card.layer(**config)
        new = json.dumps(layer.get_config())
        build_and_call(card, layer, config)
        assert json.dumps(layer.get_config()) == new


@each_card
def test_every_argument_survives_a_round_trip_through_json(card):
    for config in walk(card):
        layer = card.layer(**config, name="some_name", trainable=False, dtype="mixed_float16")
        revived = card.layer.from_config(json.loads(json.dumps(layer.get_config())))
        assert revived.get_config() == layer.get_config()
        assert (revived.name, revived.trainable) == ("some_name", False)
        assert revived.dtype_policy == keras.DTypePolicy("mixed_float16")
        for name in parameters(card):
            kept, given = plain(getattr(revived, name)), plain(getattr(layer, name))
            assert kept == given, name
            if name in config and isinstance(config[name], bool | int | float | list):
                assert kept == plain(config[name]), name


@each_card
def test_the_card_lists_configs_that_the_layer_refuses(card):
    """How they are refused, `test_bad_inputs.py` looks at."""
    assert card.errors or not parameters(card)
