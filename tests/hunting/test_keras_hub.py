"""KerasHub's part of the hunting ground, which is looked at where KerasHub is installed."""

import inspect
import re
import warnings
from collections import defaultdict

import keras
import pytest

from hunting.findings import CLASSES, findings
from hunting.page import failures
from hunting.results import FOUND, read
from layerzoo.testing.engine.samples import Replay, options
from layerzoo.testing.engine.sources import same
from layerzoo_entry.backends import BACKENDS

pytestmark = pytest.mark.proof
keras_hub = pytest.importorskip(
    "keras_hub", reason="the cards are of KerasHub's layers, and keras-hub is not installed"
)
cards = pytest.importorskip("hunting.keras_hub_layers")

FINDINGS = findings("findings_keras_hub.toml")
HERE = [each for each in FINDINGS if keras.backend.backend() in each.backends]
NAMES = {
    *("keras", "numpy", "keras_hub", "tensorflow", "torch"),
    *("copy", "io", "json", "os", "tempfile", "pickle"),
}


def test_every_public_layer_has_a_card_or_a_reason():
    public = {
        name
        for name in dir(keras_hub.layers)
        if isinstance(value := getattr(keras_hub.layers, name), type)
        and issubclass(value, keras.layers.Layer)
    }
    with_card = {card.name for card in cards.CARDS}
    assert with_card | set(cards.EXCLUDED) | set(cards.THIN) == public
    assert not with_card & set(cards.EXCLUDED)


def test_a_thin_converter_adds_nothing_but_its_name():
    for name in cards.THIN:
        layer = getattr(keras_hub.layers, name)
        assert layer.__mro__[1] is keras_hub.layers.ImageConverter
        assert [each for each in vars(layer).values() if inspect.isfunction(each)] == []


def _configs(card):
    """The plain config, and those in which one pick takes another option, or all do."""
    counts = options(card)
    rows = [[0] * len(counts), [1] * len(counts)]
    for place, count in enumerate(counts):
        rows += [[o if i == place else 0 for i in range(len(counts))] for o in range(1, count)]
    return [card.configs(Replay(row)) for row in rows]


@pytest.mark.parametrize("card", cards.CARDS, ids=lambda card: card.name)
def test_every_argument_is_moved_off_its_default(card):
    parameters = dict(inspect.signature(card.layer.__init__).parameters)
    values = defaultdict(list)
    for config in _configs(card):
        for name, value in config.items():
            values[name].append(value)
    fixed = {
        name
        for name, parameter in parameters.items()
        if name not in ("self", "name", "dtype", "trainable")
        and parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
        and all(same(value, parameter.default) for value in values[name])
    }
    assert fixed == set(cards.UNMOVED.get(card.name, ()))


@pytest.mark.parametrize("finding", HERE, ids=lambda finding: finding.id)
def test_the_snippet_fails_as_claimed(finding, tmp_path, monkeypatch):
    """A snippet that ends well says that the finding is gone, and is to be taken off the page."""
    monkeypatch.chdir(tmp_path)
    warnings.simplefilter("ignore")
    code = compile(finding.snippet, finding.id, "exec")
    with pytest.raises(Exception) as caught:  # noqa: PT011  of the type that the finding names
        exec(code, {"__name__": "snippet"})
    assert type(caught.value).__name__ == finding.raises


@pytest.mark.parametrize("finding", FINDINGS, ids=lambda finding: finding.id)
def test_a_finding_is_well_formed(finding):
    assert finding.kind in CLASSES
    assert set(finding.backends) <= set(BACKENDS)
    assert re.fullmatch(r"hub-[a-z0-9-]+", finding.id)
    assert set(re.findall(r"^\s*(?:import|from) (\w+)", finding.snippet, re.MULTILINE)) <= NAMES
    assert sum(each.id == finding.id for each in FINDINGS) == 1


def test_every_failure_is_explained_and_every_finding_explains_one():
    failed = failures(read(FOUND["keras_hub"]))
    explained = {key for each in FINDINGS for key in each.explains()}
    assert failed - explained == set()
    assert [each.id for each in FINDINGS if each.covers and not each.explains() & failed] == []
