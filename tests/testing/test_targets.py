"""Targets: what a text names is found, what cannot be used is told in a line, and the rest goes on."""

import itertools
import sys
import textwrap

import pytest

from layerzoo import catalogue
from layerzoo.testing.engine.cards import home
from layerzoo.testing.front.targets import installed, labelled, resolve

NUMBERS = itertools.count()

LAYERS = """
import keras
from layerzoo.catalogue import Card, Traits

@keras.saving.register_keras_serializable(package="layerzoo.tests.targets")
class Good(keras.layers.Layer):
    def __init__(self, gain=1.0, **kwargs):
        super().__init__(**kwargs)
        self.gain = gain

    def call(self, inputs):
        return self.gain * inputs

class Explodes(Good):
    def __init__(self, **kwargs):
        raise RuntimeError("first\\nsecond")

def card(layer=Good, inputs="b t d", **more):
    return Card(layer=layer, inputs=inputs, **more)

class Outer:
    inner = card()

CARDS = [card(), card(Explodes), "no card", card()]
one = card()
letter = card(inputs="b q")
word = card(traits=Traits(masking="sometimes"))
configs = card(configs=lambda pick: 1 / 0)
identity = card(expected_failures={"Z9": "known"})
number = 3
empty = []
"""


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Writes a module into the working directory, which is not on the path, and gives its name."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [each for each in sys.path if each])
    written = []

    def write(source):
        written.append(f"module_of_targets_{next(NUMBERS)}")
        (tmp_path / f"{written[-1]}.py").write_text(textwrap.dedent(source))
        return written[-1]

    yield write
    for name in written:
        sys.modules.pop(name, None)


def test_a_name_of_the_catalogue():
    (found,) = resolve("DropPath")
    assert found.card is catalogue()["DropPath"]
    assert found.text == "DropPath"
    assert not found.problem


def test_a_class_that_has_a_card_in_the_catalogue():
    (found,) = resolve("layerzoo:DropPath")
    assert found.card is catalogue()["DropPath"]


def test_a_list_a_card_and_a_layer_of_a_module(write):
    name = write(LAYERS)
    good = sys.modules  # filled by the first import
    for text in (name, f"{name}:CARDS"):
        found = resolve(text)
        assert [each.text for each in found] == [
            f"{name}:CARDS:Good",
            f"{name}:CARDS:Explodes",
            f"{name}:CARDS[2]",
            f"{name}:CARDS[3]",
        ]
        assert found[0].card is good[name].CARDS[0]
        assert [bool(each.problem) for each in found] == [False, True, True, True]
    (again,) = resolve(found[0].text)
    assert again == found[0], "a target's own text names it alone"
    assert resolve(f"{name}:one")[0].card is good[name].one
    assert resolve(f"{name}:Outer.inner")[0].card is good[name].Outer.inner
    (inferred,) = resolve(f"{name}:Good")
    assert inferred.card.layer is good[name].Good
    assert not inferred.problem


@pytest.mark.parametrize(
    ("thing", "words"),
    [
        ("letter", "without size: ['q']"),
        ("word", "Received: masking='sometimes'"),
        ("configs", "In the card of `Good`, `configs` must work"),
        ("identity", "unknown: Z9"),
        ("number", "Received: 3 of type int"),
        ("empty", "must hold a card. Received: a list of nothing"),
        ("Nothing", "has no `Nothing`; it has"),
        ("CARDS:Nothing", "must hold a card of `Nothing`"),
        ("one:Good", "A second colon is only for a card in a list"),
        ("Explodes", "`Explodes`"),
        ("CARDS:Explodes", "RuntimeError: first second ("),
        ("1", "A target is a layer that"),
        ("", "A target is a layer that"),
    ],
)
def test_what_cannot_be_used_is_told_in_a_line(write, thing, words):
    (found,) = resolve(f"{write(LAYERS)}:{thing}")
    assert words in found.problem
    assert "Received:" in found.problem
    assert "\n" not in found.problem


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("raise RuntimeError('at import')", "RuntimeError: at import ("),
        ("raise SystemExit(3)", "SystemExit: 3 ("),
        ("import no_such_module_of_anybody", "No module named 'no_such_module_of_anybody' ("),
        ("def f(:", "SyntaxError: invalid syntax"),
        ("from layerzoo import Traits\nTraits(sideways=1)", "A trait must be one of"),
    ],
)
def test_a_module_that_cannot_be_imported_is_told_with_its_place(write, source, words):
    name = write(source)
    for text in (name, f"{name}:CARDS"):
        (found,) = resolve(text)
        assert words in found.problem
        assert f"{name}.py" in found.problem
        assert f"Received: {text!r}" in found.problem


@pytest.mark.parametrize("text", ["no_such_module", "no.such.module:X", "DropPat", "a/b.py", "a b"])
def test_a_text_that_names_nothing(text):
    (found,) = resolve(text)
    assert found.card is None
    assert f"Received: {text!r}" in found.problem
    assert ("Did you mean DropPath?" in found.problem) == (text == "DropPat")


def test_a_plugin_that_raises_is_a_problem_beside_the_other_cards(monkeypatch):
    card = catalogue()["DropPath"]
    problem = "The plug-in 'x' (x:CARDS) could not be loaded: RuntimeError: no"
    found = lambda: ({"DropPath": card}, (problem,))  # noqa: E731
    monkeypatch.setattr(sys.modules["layerzoo.testing.front.targets"], "cards_and_problems", found)
    assert [(each.card, each.problem) for each in installed()] == [(card, ""), (None, problem)]
    assert resolve("Elsewhere")[0].problem.endswith(problem), "it may have been in there"
    assert not resolve("DropPath")[0].problem, "and this is not its business"


WILD = """
import keras
from layerzoo import Card

class Wild:
    def __repr__(self):
        raise SystemExit

class Exiting(keras.layers.Layer):
    def __init__(self, **kwargs):
        raise SystemExit(3)

wild, exiting, CARDS = Wild(), Card(layer=Exiting, inputs="b d"), [Wild(), "\x1b[2J"]

def __getattr__(name):
    raise KeyboardInterrupt
"""


@pytest.mark.parametrize(
    ("rest", "words"),
    [
        (":wild", ["Received: an object of type Wild of type Wild"]),
        (":exiting", ["raised SystemExit: 3"]),
        (":Exiting", ["SystemExit: 3"]),
        ("", ["item 0 = an object of type Wild", r"item 1 = '\x1b[2J'"]),
        (":absent", ["KeyboardInterrupt: without a message"]),
    ],
)
def test_whatever_a_target_is_it_ends_nothing(rest, words, write):
    found = resolve(write(WILD) + rest)
    assert len(found) == len(words)
    for each, said in zip(found, words, strict=True):
        assert said in each.problem
        assert each.problem.isprintable()


def test_labels_are_names_as_long_as_they_tell_cards_apart(write):
    name = write(LAYERS)
    texts = ["DropPath", "layerzoo:DropPath", f"{name}:one", f"{name}:CARDS", f"{name}:number"]
    labels = labelled([each for text in texts for each in resolve(text)])
    assert list(labels) == ["DropPath", "Good", f"{name}:CARDS:Good"]


def test_a_card_is_at_home_in_the_catalogue_or_nowhere(write):
    assert home(catalogue()["DropPath"]) == "DropPath"
    assert home(resolve(f"{write(LAYERS)}:one")[0].card) == "-"
