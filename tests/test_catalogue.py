import dataclasses
import importlib
import itertools
import os
import re
import signal
import sys
import types
import warnings
from importlib.metadata import EntryPoint, entry_points

import keras
import pytest

import layerzoo
from layerzoo import Card, DropPath, GatedMLP, Traits, catalogue, find
from layerzoo.catalogue import GROUP, families, load


def plug_in(monkeypatch, name, cards):
    """An entry point of a package that is not there, whose module holds these cards."""
    module = types.ModuleType(name)
    module.CARDS = cards
    monkeypatch.setitem(sys.modules, name, module)
    return EntryPoint(name, f"{name}:CARDS", GROUP)


OURS = [point for point in entry_points(group=GROUP) if point.value.startswith("layerzoo.")]


class Plugged(keras.layers.Layer):
    """A layer of somebody else."""


def test_the_built_in_families_come_through_an_entry_point():
    cards, problems = load(OURS)
    assert problems == ()
    assert {card.family for card in cards.values()} <= set(families())
    assert {"attention", "positions", "channels", "residual", "gated"} <= set(families())
    assert cards.items() <= catalogue().items()


def test_a_family_says_what_it_is_in_a_line():
    for name, line in families().items():
        assert re.fullmatch(rf"{name.capitalize()}: [a-z].+\.", line)


def test_the_catalogue_is_sorted_and_a_copy():
    assert list(catalogue()) == sorted(catalogue())
    assert all(card.name == name for name, card in catalogue().items())
    catalogue().clear()
    assert "GatedMLP" in catalogue()


def test_find_by_name_family_and_tag():
    names = {pattern: [card.name for card in find(pattern)] for pattern in ("gated*", "GATEDMLP")}
    assert "GatedMLP" in names["gated*"]
    assert names["GATEDMLP"] == ["GatedMLP"]
    assert {card.family for card in find("residual")} == {"residual"}
    assert "RotaryEmbedding" in [card.name for card in find("position")]
    assert all("position" in card.tags for card in find("position"))
    assert [card.name for card in find("*")] == list(catalogue())
    assert find("no such layer") == []


def test_every_layer_that_is_exported_has_a_card():
    exported = {
        name
        for name in layerzoo.__all__
        if isinstance(getattr(layerzoo, name), type)
        and issubclass(getattr(layerzoo, name), keras.layers.Layer)
    }
    assert exported == set(load(OURS)[0])


@pytest.mark.parametrize("card", load(OURS)[0].values(), ids=lambda card: card.name)
def test_every_card_is_complete(card):
    assert re.fullmatch(r"arXiv:\d{4}\.\d{4,5}|https://\S+", card.paper)
    assert 1980 < card.year < 2100
    assert card.paper_title
    assert card.paper_authors
    assert card.tags
    assert card.summary.endswith(".")
    assert len(card.summary) < 100


def test_a_plug_in_adds_its_cards(monkeypatch):
    card = Card(layer=Plugged, inputs="b d")
    cards, problems = load([*OURS, plug_in(monkeypatch, "somebody", [card])])
    assert problems == ()
    assert cards["Plugged"] is card
    assert card.summary == "A layer of somebody else."


def test_a_plug_in_that_cannot_be_loaded_is_named_and_harms_nobody(monkeypatch):
    broken = [
        EntryPoint("absent", "no_such_module:CARDS", GROUP),
        EntryPoint("nameless", "json:NO_SUCH_CARDS", GROUP),
        plug_in(monkeypatch, "countless", 5),
    ]
    cards, problems = load([*broken, *OURS])
    assert set(cards) == set(load(OURS)[0])
    assert [line.split("'")[1] for line in problems] == ["absent", "nameless", "countless"]
    assert "ModuleNotFoundError: No module named 'no_such_module'" in problems[0]
    assert all("could not be loaded" in line for line in problems)


def test_what_is_no_card_is_reported_and_the_cards_beside_it_stay(monkeypatch):
    card = Card(layer=Plugged, inputs="b d")
    cards, problems = load([plug_in(monkeypatch, "mixed", [42, card])])
    assert cards == {"Plugged": card}
    assert problems == ("The plug-in 'mixed' gave 42, which is not a Card.",)


def raising(error):
    """A module that raises while it is read."""

    class Raising(types.ModuleType):
        def __getattr__(self, name):
            if name == "CARDS":
                raise error
            return super().__getattribute__(name)

    return Raising


class Unreadable(Exception):
    def __str__(self):
        raise SystemExit


class Unrepresentable:
    def __repr__(self):
        print("\x1b[2J")
        raise KeyboardInterrupt

    @property
    def __class__(self):
        raise SystemExit


class Coloured:
    def __repr__(self):
        return "\x1b[31mred\n" + "huge" * 100_000


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (SystemExit(0), "loaded: SystemExit: 0"),
        (KeyboardInterrupt(), "loaded: KeyboardInterrupt: without a message"),
        (GeneratorExit("x"), "loaded: GeneratorExit: x"),
        (Unreadable(), "loaded: Unreadable: (it has no readable message)"),
        (OSError("\x1b[2Jgone\nfar" + "x" * 1_000_000), r"OSError: \x1b[2Jgone far"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_whatever_a_plug_in_raises_is_told_in_one_line(error, said, monkeypatch):
    monkeypatch.setitem(sys.modules, "wild", raising(error)("wild"))
    cards, (problem,) = load([EntryPoint("wild", "wild:CARDS", GROUP), *OURS])
    assert set(cards) == set(load(OURS)[0])
    assert problem.startswith("The plug-in 'wild' (wild:CARDS) could not be loaded: ")
    assert said in problem
    assert problem.isprintable()
    assert len(problem) < 600


def test_ctrl_c_stops_the_program_also_if_the_plug_in_catches_it(monkeypatch):
    class Catching(types.ModuleType):
        @property
        def CARDS(self):
            try:
                signal.raise_signal(signal.SIGINT)
            except KeyboardInterrupt:
                return []

    monkeypatch.setitem(sys.modules, "catching", Catching("catching"))
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        load([EntryPoint("catching", "catching:CARDS", GROUP)])
    assert signal.getsignal(signal.SIGINT) is before


class Wild:
    """Cards that only look like cards."""

    numbered = dataclasses.replace(CARD := Card(layer=Plugged, inputs="b d"), year="now")
    tagged = dataclasses.replace(CARD, tags=[Coloured()])
    countless = dataclasses.replace(CARD, tags=itertools.count())
    nameless = Card(layer=type("\x1b[2J", (keras.layers.Layer,), {}), inputs="b d")
    summarized = Card(layer=type("Fine", (keras.layers.Layer,), {"__doc__": "\x1b"}), inputs="b d")


@pytest.mark.parametrize(
    ("cards", "said"),
    [
        (itertools.count, "have an end. Received: more than 10,000 items"),
        (lambda: (Wild.CARD for _ in itertools.count()), "Received: more than 10,000 items"),
        (lambda: [Unrepresentable()], "cannot be listed: SystemExit: "),
        (lambda: [Coloured()], r"gave \\x1b\[31mred"),
        (lambda: [*range(50)], "gave 0, 1, 2 and 47 more, which is not a Card"),
        (lambda: [Wild.numbered], "cannot be listed: its year must be an integer. Received: 'now'"),
        (
            lambda: [Wild.tagged],
            "cannot be listed: its tags must be printable words. Received: .*x1b",
        ),
        (lambda: [Wild.countless], "cannot be listed: its tags must be printable words. Rec"),
        (
            lambda: [Wild.nameless],
            r"its name must be text in one printable line. Received: '\\x1b\[2J'",
        ),
        (lambda: [Wild.summarized], "its summary must be text in one"),
        (
            lambda: [Wild.CARD] * 9,
            "named 'Plugged', 'Plugged', 'Plugged' and 5 more, which is already",
        ),
    ],
)
def test_whatever_a_plug_in_gives_is_told_in_one_line(cards, said, monkeypatch, capsys):
    found, (problem,) = load([*OURS, plug_in(monkeypatch, "wild", cards())])
    assert set(found) - {"Plugged"} == set(load(OURS)[0])
    assert re.match(f"The plug-in 'wild' .*({said})", problem)
    assert problem.isprintable()
    assert len(problem) < 3000
    assert capsys.readouterr().out == ""


def test_what_a_plug_in_changes_is_put_back(monkeypatch, tmp_path, capsys):
    class Changing(types.ModuleType):
        @property
        def CARDS(self):
            os.chdir(tmp_path)
            warnings.simplefilter("ignore")
            keras.config.set_floatx("float64")
            keras.config.set_dtype_policy("mixed_bfloat16")
            keras.saving.register_keras_serializable("layerzoo", "GatedMLP")(Plugged)
            print("hello")
            return []

    monkeypatch.setitem(sys.modules, "changing", Changing("changing"))
    here, policy = os.getcwd(), keras.config.dtype_policy()
    load([EntryPoint("changing", "changing:CARDS", GROUP)])
    assert (os.getcwd(), keras.config.floatx()) == (here, "float32")
    assert keras.config.dtype_policy() == policy
    assert keras.saving.get_registered_object("layerzoo>GatedMLP") is GatedMLP
    with pytest.warns(RuntimeWarning):
        warnings.warn("still heard", RuntimeWarning, stacklevel=1)
    assert capsys.readouterr().out == ""


def test_a_name_that_exists_stays_ours_wherever_the_plug_in_stands(monkeypatch):
    usurper = plug_in(monkeypatch, "usurper", [Card(layer=GatedMLP, inputs="b d")])
    for points in ([usurper, *OURS], [*OURS, usurper]):
        cards, problems = load(points)
        assert cards["GatedMLP"].paper
        assert problems == (
            "The plug-in 'usurper' has a layer named 'GatedMLP', which is already taken. "
            "The first one is kept.",
        )


def test_the_catalogue_warns_of_a_broken_plug_in_and_goes_on(monkeypatch):
    module = importlib.import_module("layerzoo.catalogue")
    points = [EntryPoint("absent", "no_such_module:CARDS", GROUP), *OURS]
    monkeypatch.setattr(module, "entry_points", lambda group: points)
    module.cards_and_problems.cache_clear()
    try:
        with pytest.warns(RuntimeWarning, match=r"'absent' \(no_such_module:CARDS\) could not be"):
            assert set(catalogue()) == set(load(OURS)[0])
    finally:
        module.cards_and_problems.cache_clear()


@pytest.mark.parametrize("layer", [DropPath(0.5), "DropPath", int, None])
def test_a_card_is_of_a_class_of_layers(layer):
    with pytest.raises(TypeError, match=r"must be a subclass.*Received: layer="):
        Card(layer=layer, inputs="b d")


def test_a_card_claims_only_axes_that_it_has():
    with pytest.raises(ValueError, match=r"Received: dynamic='b t', inputs='b d'"):
        Card(layer=Plugged, inputs="b d", traits=Traits(dynamic="b t"))
    Card(layer=Plugged, inputs={"x": "b d", "y": "b t"}, traits=Traits(dynamic="b t"))


def test_a_claim_may_depend_on_the_config():
    traits = Traits(causal=lambda config: config["causal"], masking="passes")
    assert traits.under({"causal": True}) == Traits(causal=True, masking="passes")
    assert traits.under({"causal": False}).causal is False


def test_axes_by_input():
    assert Card(layer=Plugged, inputs="b t d").axes == {"inputs": ["b", "t", "d"]}
    two = Card(layer=Plugged, inputs={"query": "b t d", "context": "b s d"})
    assert two.axes == {"query": ["b", "t", "d"], "context": ["b", "s", "d"]}
