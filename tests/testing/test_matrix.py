"""The committed kill matrix proves what it is there to prove."""

from pathlib import Path

import pytest

from layerzoo import measured
from layerzoo.testing import PROPERTIES
from layerzoo.testing.broken import BROKEN, SOUND
from layerzoo.testing.matrix import faults, named

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
