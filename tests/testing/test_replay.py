"""Tokens: a failing check in a line that runs it again, and that a stranger may have written."""

import itertools
import sys

import keras
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from layerzoo import catalogue
from layerzoo.tensors import compat
from layerzoo.testing import PROPERTIES, check_layer, check_property
from layerzoo.testing.engine.samples import CONTRACT, deck
from layerzoo.testing.engine.strategies import samples
from layerzoo.testing.engine.token import Token
from layerzoo.testing.front.targets import resolve
from layerzoo_entry.cli import main

NUMBERS = itertools.count()
TARGETS = ("-", "DropPath", "pkg", "my.pkg.cards:CARDS", "a.b:Outer.Inner", "my.pkg:CARDS:Läyer")

SOURCE = """
import keras
from layerzoo.catalogue import Card

FORGETS = True
GAINS = [1.0, 0.5]

@keras.saving.register_keras_serializable(package="layerzoo.tests.replay")
class Gain(keras.layers.Layer):
    def __init__(self, gain=1.0, **kwargs):
        super().__init__(**kwargs)
        self.gain = gain

    def call(self, inputs):
        return self.gain * inputs

    def get_config(self):
        config = {**super().get_config(), "gain": self.gain}
        if FORGETS:
            del config["gain"]
        return config

CARDS = [Card(layer=Gain, inputs="b d", configs=lambda pick: dict(gain=pick(GAINS)))]
"""


@given(samples(catalogue()["SelfAttention"]), st.sampled_from(TARGETS))
@settings(max_examples=50, deadline=None, derandomize=True)
def test_a_token_brings_its_check_back(sample, target):
    token = Token("G1", target, sample)
    assert Token.parse(str(token)) == token


@pytest.mark.parametrize(
    "rest",
    [
        "",
        "G1",
        "G1:DropPath",
        "G1:DropPath:0.1:0:normal",
        "G1:DropPath:0.1:0:normal:x",
        "G1:DropPath:0.1:0:normal:-1",
        "G1:DropPath:0.1:0:normal:+1",
        "G1:DropPath:0.1:0:normal:01",
        "G1:DropPath:0.1:9:normal:0",
        "G1:DropPath:0.1:0:strange:0",
        "G1::0.1:0:normal:0",
        "G1:../up:0.1:0:normal:0",
        "G1:__import__('os').system('x'):0.1:0:normal:0",
        "G1:DropPath:0.1:0:normal:" + "9" * 9999,
        "G1:DropPath:0.1:0,t=09:normal:0",
        "G1:DropPath:0.1:0,t=9,b=1:normal:0",
    ],
)
def test_what_is_no_token_is_refused(rest):
    with pytest.raises(ValueError, match=r"A token reads .* Received: "):
        Token.parse(f"{CONTRACT}:{rest}")


def test_a_token_of_another_contract_is_refused_whatever_its_samples_look_like():
    with pytest.raises(ValueError, match="Received: contract 99 in "):
        Token.parse("99:G1:DropPath:new:kind:of:sample:7")


def test_reading_a_token_imports_nothing():
    token = Token.parse(f"{CONTRACT}:G1:antigravity:fly:0:0:normal:0")
    assert token.target == "antigravity:fly"
    assert "antigravity" not in sys.modules


@pytest.mark.parametrize(
    ("token", "words"),
    [
        ("Z9:DropPath:0.0:0:normal:0", "Received: 'Z9'"),
        ("G1:DropPat:0.0:0:normal:0", "Received: 'DropPat'"),
        ("G1:no.such:card:0.0:0:normal:0", "Received: 'no.such:card'"),
        ("G1:layerzoo.gated.cards.gated_mlp:CARD:0.0:0:normal:0", "must fit the card's picks"),
        ("G1:layerzoo.attention.cards:0.0:0:normal:0", "must name one card"),
        ("G1:DropPath:9.0:0:normal:0", "picks of `DropPath` now have"),
        ("G1:DropPath:0:0:normal:0", "picks of `DropPath` now have"),
        ("G1:-:0.0:0:normal:0", 'Sample.parse("0.0:0:normal:0")'),
    ],
)
def test_each_reason_why_a_token_cannot_be_replayed_has_a_sentence(token, words, capsys):
    assert main(["replay", f"{CONTRACT}:{token}"]) == 2
    told = capsys.readouterr().err
    assert told.startswith("layerzoo: error: ")
    assert words in told
    assert told.count("\n") == 1


def test_a_check_that_does_not_apply_is_no_success(capsys):
    card = catalogue()["RotaryEmbedding"]
    token = Token("R3", "RotaryEmbedding", next(deck(card, 1)))
    assert main(["replay", str(token)]) == 2
    assert "must name a check that applies" in capsys.readouterr().err


def test_the_command_in_a_failure_runs_the_check_again_until_it_is_mended(
    tmp_path, monkeypatch, capsys
):
    name = f"module_of_replay_{next(NUMBERS)}"
    (tmp_path / f"{name}.py").write_text(SOURCE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    report = tmp_path / "out.json"
    arguments = ["check", name, "--only", "C1", "--profile", "smoke", "--report", str(report)]
    assert main(arguments) == 1
    (line,) = [each for each in capsys.readouterr().out.split("\n") if "to check again" in each]
    _, command = line.split("layerzoo ")
    assert command == f"replay 1:C1:{name}:CARDS:Gain:1:0:normal:0 --backend {compat.BACKEND}"
    assert main(command.split()) == 1
    assert "arguments missing from the config: gain" in capsys.readouterr().out
    sys.modules[name].FORGETS = False
    assert main(command.split()) == 0
    assert "Gain  C1 config_roundtrip  holds" in capsys.readouterr().out
    sys.modules[name].GAINS.pop()
    assert main(command.split()) == 2
    assert "now have [1] options. Received: [1]" in capsys.readouterr().err
    del sys.modules[name]


def test_a_card_that_no_command_finds_is_replayed_from_python():
    report = check_layer(keras.layers.LayerNormalization(), inputs=(2, 4), only=["C1"])
    (failed,) = report.failures
    assert Token.parse(failed.token).target == "-"
    assert 'check_sample(card, PROPERTIES["C1"], Sample.parse("' in failed.message


def test_a_card_of_the_catalogue_is_named_by_it(monkeypatch):
    (target,) = resolve("layerzoo:GatedMLP")
    failing = PROPERTIES["S1"]
    broken = type(failing)(**{**vars(failing), "check": lambda case: 1 / 0})
    result = check_property(target.card, broken, "smoke")
    assert Token.parse(result.token) == Token("S1", "GatedMLP", next(deck(target.card, 1)))
