"""What tests of every recipe share: the cards, configs and sizes as a card names them, and arrays."""

import inspect
from itertools import chain
from random import Random

import keras
import pytest
from arrays import random

from layerzoo import catalogue

CARDS = [card for card in catalogue().values() if card.layer.__module__.startswith("layerzoo.")]

each_card = pytest.mark.parametrize("card", CARDS, ids=lambda card: card.name)


def first(options):
    """The pick that makes the plain layer."""
    return options[0]


def last(options):
    """The pick that moves each argument off its default."""
    return options[-1]


def draws(card, wanted=lambda config: True):
    """Functions that give a config and its fixed sizes, anew each time: two whose config is as wanted.

    These are the first option of every pick and the last one, or drawn options where those will not do.
    JAX compiles anew for each config, so that there it is one function.
    """

    def draw(maker):
        pick = maker()
        config = card.configs(pick)
        return config, card.dims(pick, config)

    drawn = (lambda seed=seed: Random(seed).choice for seed in range(50))
    makers = chain([lambda: first, lambda: last], drawn)
    found = [maker for maker in makers if wanted(draw(maker)[0])]
    number = 1 if keras.backend.backend() == "jax" else 2
    return [lambda maker=maker: draw(maker) for maker in found[:number]]


def each_draw(wanted=lambda card, config: True):
    """Parametrise a test by `card` and `draw`, for each recipe that has a config as wanted."""
    cases = [
        pytest.param(card, draw, id=f"{card.name}-{number}")
        for card in CARDS
        for number, draw in enumerate(draws(card, lambda config, card=card: wanted(card, config)))
    ]
    return pytest.mark.parametrize(("card", "draw"), cases)


def takes(card, argument):
    """Whether the layer's `call` has an argument of this name."""
    return argument in inspect.signature(card.layer.call).parameters


def shapes(card, config, fixed, **sizes):
    """The shape of each input by its name; a size that nobody gives is 4, and of a batch 2."""
    sizes = {"b": 2, **sizes, **fixed}
    return {
        name: tuple(sizes.get(letter, 4) for letter in tensor.letters)
        for name, tensor in card.tensors(config).items()
    }


def arrays(card, config, fixed, seed=0, **sizes):
    """Normally distributed inputs by their names."""
    given = shapes(card, config, fixed, **sizes)
    return {name: random(*shape, seed=[seed, i]) for i, (name, shape) in enumerate(given.items())}
