"""Every public layer of Keras has a card, and every argument of its constructor is moved by a pick."""

import inspect
from collections import defaultdict

import keras
import pytest

from hunting.keras_layers import CARDS, EXCLUDED, UNMOVED
from layerzoo.testing.engine.samples import Replay, options
from layerzoo.testing.engine.sources import same

pytestmark = pytest.mark.proof
PUBLIC = {
    value
    for name in dir(keras.layers)
    if isinstance(value := getattr(keras.layers, name), type)
    and issubclass(value, keras.layers.Layer)
}


def test_every_public_layer_has_a_card_or_a_reason():
    with_card = {card.layer for card in CARDS}
    assert {layer.__name__ for layer in PUBLIC - with_card} <= set(EXCLUDED)
    assert with_card <= PUBLIC
    assert len(with_card) == len(CARDS)


def _configs(card):
    """The plain config, and those in which one pick takes another option, or all do."""
    counts = options(card)
    rows = [[0] * len(counts)]
    for place, count in enumerate(counts):
        rows += [
            [option if i == place else 0 for i in range(len(counts))] for option in range(1, count)
        ]
    rows += [[1] * len(counts), [2] * len(counts)]
    return [card.configs(Replay(row)) for row in rows]


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.name)
def test_every_argument_is_moved_off_its_default(card):
    parameters = dict(inspect.signature(card.layer.__init__).parameters)
    values = defaultdict(list)
    for config in _configs(card):
        for name, value in config.items():
            values[name].append(value)
    fixed = [
        name
        for name, parameter in parameters.items()
        if name not in ("self", "name", "dtype", "trainable", *UNMOVED.get(card.name, ()))
        and parameter.kind is parameter.POSITIONAL_OR_KEYWORD
        and all(same(value, parameter.default) for value in values[name])
    ]
    assert fixed == []
