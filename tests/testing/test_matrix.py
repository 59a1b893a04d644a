"""The committed kill matrix proves what it is there to prove."""

from pathlib import Path

import pytest

from layerzoo import measured
from layerzoo.testing import PROPERTIES
from layerzoo.testing.proof import matrix as matrices
from layerzoo.testing.proof.broken import BROKEN, SOUND
from layerzoo.testing.proof.matrix import confirm, faults, measure, named

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "measured"
COMMITTED = {name: measured.read(FOLDER, "kills", name) for name in measured.names(FOLDER, "kills")}


@pytest.mark.parametrize("backend", sorted(COMMITTED))
def test_the_committed_matrix_is_of_this_zoo_and_proves_every_property(backend):
    matrix = COMMITTED[backend]
    assert matrix["properties"] == list(PROPERTIES)
    assert set(matrix["broken"]) == {name for name, _ in named(BROKEN)}
    assert set(matrix["sound"]) == {card.name for card in SOUND}
    assert faults(matrix) == []


def test_the_readme_counts_the_broken_layers():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"{len(BROKEN)} broken layers" in " ".join(readme.split())


def test_a_matrix_without_proof_is_told():
    matrix = {
        "backend": "tensorflow",
        "properties": ["S1", "S2"],
        "broken": {
            "WrongOutputShape (S1)": {"kill": "S1", "killed_by": ["S1", "S2"]},
            "FixedTime (S2)": {"kill": "S2", "killed_by": []},
        },
        "sound": {"Sound": ["S2"]},
        "shares": {"S1": {"sound": 0.5, "broken": 2.0}},
    }
    told = "\n".join(faults(matrix))
    for sign in (
        "FixedTime (S2) survives",
        "S1: no broken layer on tensorflow is detected by this property alone",
        "S2 fails on",
        "a factor of at least 10",
    ):
        assert sign in told


@pytest.fixture
def looked(monkeypatch):
    """A zoo of two broken layers, a sound one and three properties, and which pairs of them are checked."""
    pairs, look = [], matrices._look

    def noting(card, each):
        pairs.append(f"{each.id} on {card.name}")
        return look(card, each)

    broken = [each for each in BROKEN if each.card.name in ("WrongOutputShape", "CouplesBatch")]
    monkeypatch.setattr(matrices, "PROPERTIES", {id: PROPERTIES[id] for id in ("S1", "S3", "I1")})
    monkeypatch.setattr(matrices, "BROKEN", broken)
    monkeypatch.setattr(matrices, "SOUND", SOUND[:1])
    monkeypatch.setattr(matrices, "_look", noting)
    return pairs


def test_only_what_a_matrix_lacks_is_measured(looked):
    whole, (sound, *_) = measure(), SOUND
    assert whole["broken"]["CouplesBatch (I1)"] == {"kill": "I1", "killed_by": ["I1"]}
    assert len(looked) == 9
    looked.clear()
    assert measure(known=whole) == whole
    assert looked == []

    without_layer = {**whole, "broken": {"CouplesBatch (I1)": whole["broken"]["CouplesBatch (I1)"]}}
    assert measure(known=without_layer) == whole
    assert looked == [f"{id} on WrongOutputShape" for id in ("S1", "S3", "I1")]
    looked.clear()

    kept = {name: {**each, "killed_by": []} for name, each in whole["broken"].items()}
    without_property = {**whole, "properties": ["S1", "S3"], "broken": kept, "shares": {}}
    found = measure(known=without_property)
    names = ("WrongOutputShape", "CouplesBatch", sound.name)
    assert looked == [f"I1 on {name}" for name in names]
    assert found["broken"]["WrongOutputShape (S1)"]["killed_by"] == [], "kept, as it was"
    assert found["broken"]["CouplesBatch (I1)"] == whole["broken"]["CouplesBatch (I1)"]
    assert found["shares"] == whole["shares"]


def test_a_property_that_is_taken_out_of_a_matrix_is_measured_again(looked):
    whole = measure()
    looked.clear()
    assert measure(known=matrices.without(whole, ["S1"])) == whole
    assert {pair.split()[0] for pair in looked} == {"S1"}
    assert len(looked) == 3


def test_a_matrix_of_another_version_is_not_completed(looked):
    with pytest.raises(ValueError, match=r"completed where it was measured.*Received: .*2\.0\.0"):
        measure(known={**measure(), "keras": "2.0.0"})


def test_in_four_turns_everything_is_confirmed_and_in_each_what_is_meant_for_a_layer(looked):
    whole = measure()
    for found in whole["broken"].values():
        found["killed_by"] = ["S1", "I1"]  # one of them is not so
    looked.clear()
    lines = confirm(whole)
    assert sorted(lines) == [
        "I1 detected WrongOutputShape (S1), but now its status is passed",
        "S1 detected CouplesBatch (I1), but now its status is passed",
    ]
    everything, found, shared = set(looked), [], []
    own = {"S1 on WrongOutputShape", "I1 on CouplesBatch"}
    for turn in range(4):
        looked.clear()
        found += confirm(whole, turn=turn)
        assert own <= set(looked)
        shared += [pair for pair in looked if pair not in own]
    assert sorted(found) == sorted(lines)
    assert sorted([*shared, *own]) == sorted(everything)
