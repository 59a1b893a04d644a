"""Every finding can still be seen, and every result that is not good is explained by one."""

import copy
import re
import sys

import keras
import pytest

from hunting.again import WELL, _merge, changed, ending, gone, recorded, seen
from hunting.findings import CLASSES, Finding, findings
from hunting.page import PAGE, failures, inconclusive, render
from hunting.results import FOUND, read
from hunting.run import _shortened
from layerzoo.testing.engine.report import Failure, Result
from layerzoo_entry.backends import BACKENDS, NAMES

pytestmark = pytest.mark.proof
FINDINGS = findings()
AGAIN = recorded()
HERE = [each for each in FINDINGS if keras.backend.backend() in each.backends]


@pytest.mark.parametrize("finding", HERE, ids=lambda finding: finding.id)
def test_the_snippet_fails_as_claimed(finding):
    """A snippet that ends well says that the finding is gone, and is to be taken off the page.

    On the newer Keras that the page tells of as well, it ends as the page says.
    """
    end = ending(finding)
    if keras.__version__ == AGAIN["keras"]:
        assert end == AGAIN["findings"][finding.id][keras.backend.backend()]
    else:
        assert seen(finding, end), end or "it ends well"


@pytest.mark.parametrize("finding", FINDINGS, ids=lambda finding: finding.id)
def test_a_finding_is_well_formed(finding):
    assert finding.kind in CLASSES
    assert set(finding.backends) <= set(BACKENDS)
    assert re.fullmatch(r"[a-z0-9-]+", finding.id)
    imported = set(re.findall(r"^\s*(?:import|from) (\w+)", finding.snippet, re.MULTILINE))
    needed = {"torch"} if "TorchModuleWrapper" in finding.snippet else set()
    assert imported <= {"keras", "numpy"} | needed | sys.stdlib_module_names
    assert sum(each.id == finding.id for each in FINDINGS) == 1


def test_every_failure_is_explained_and_every_finding_explains_one():
    """A finding that covers nothing was made by hand: its snippet alone shows it."""
    failed = failures(read(FOUND["keras"]))
    explained = {key for each in FINDINGS for key in each.explains()}
    assert failed - explained == set()
    assert [each.id for each in FINDINGS if each.covers and not each.explains() & failed] == []


def test_the_page_is_fresh():
    assert PAGE.read_text(encoding="utf-8") == render()


def test_every_inconclusive_result_is_explained_as_one():
    """That a property fails does not explain why it could not be decided."""
    data = read(FOUND["keras"])
    explained = {key for each in FINDINGS for key in each.leaves_open()}
    assert inconclusive(data) == explained
    assert not failures(data) & explained
    lost = copy.deepcopy(data)
    lost["results"]["SimpleRNN"]["M1"]["tensorflow"] = "inconclusive"
    assert inconclusive(lost) - explained == {("SimpleRNN", "M1", "tensorflow")}
    assert "| checks that are inconclusive | | 0 | 0 | 1 |" in render()


def test_every_snippet_was_run_again_on_each_of_its_backends():
    found = {id: set(ends) for id, ends in AGAIN["findings"].items()}
    assert found == {each.id: set(each.backends) for each in FINDINGS}
    assert set(AGAIN["backends"]) == set(BACKENDS)


def test_the_page_marks_what_is_gone_on_a_newer_keras_and_nothing_else():
    page = render()
    parts = {
        part.partition("{ #")[2].partition(" }")[0]: part for part in page.split("\n#### ")[1:]
    }
    marked = {id for id, part in parts.items() if f"**gone in Keras {AGAIN['keras']}" in part}
    assert marked == set(gone(AGAIN))
    assert marked, "a page that marks nothing would pass this test by itself"
    listed = page.partition(f"## On Keras {AGAIN['keras']}")[2].partition("\n## ")[0]
    others = {each.id for each, _, _ in changed(AGAIN)}
    assert set(re.findall(r"\(#([a-z0-9-]+)\)", listed)) == marked | others
    for id, backends in gone(AGAIN).items():
        whole = set(backends) == set(next(each.backends for each in FINDINGS if each.id == id))
        mark = f"**gone in Keras {AGAIN['keras']}**"
        assert (mark in parts[id]) == whole, id
    for each, backend, end in changed(AGAIN):
        assert f"(#{each.id}), on {NAMES[backend]}: `{end}`, not `{each.raises}`" in listed
    back = copy.deepcopy(AGAIN)
    id = next(iter(gone(AGAIN)))
    back["findings"][id] = dict.fromkeys(back["findings"][id], "AssertionError")
    assert render(back) != page


def finding(snippet, raises="AssertionError"):
    return Finding("an-id", "defect", "A title", "Text.", (), snippet, raises=raises)


def test_how_a_snippet_ends():
    assert ending(finding("assert 1 + 1 == 2")) == WELL
    assert ending(finding("assert 1 + 1 == 3")) == "AssertionError"
    assert ending(finding("import os\nos.kill(os.getpid(), 8)", "SIGFPE")) == "SIGFPE"
    assert ending(finding("pass", "SIGFPE")) == WELL
    assert ending(finding("1 / 0", "SIGFPE")) == "Exception"
    for raises, end, shows in (
        ("AssertionError", "AssertionError", True),
        ("AssertionError", "TypeError", False),
        ("Exception", "TypeError", True),
        ("Exception", WELL, False),
    ):
        assert seen(finding("", raises), end) is shows


def test_a_run_on_another_version_starts_anew(tmp_path):
    path, id = tmp_path / "found.json", "simple-rnn-drops-seed"

    def run(version, backend, end):
        part = {"keras": version, "backends": {backend: "1"}, "findings": {id: {backend: end}}}
        _merge(path, part)
        return recorded(path)

    run("3.16.0", "torch", "AssertionError")
    both = run("3.16.0", "jax", WELL)
    assert both["findings"][id] == {"jax": WELL, "torch": "AssertionError"}
    assert gone(both) == {id: ["jax"]}
    assert run("3.17.0", "jax", WELL)["findings"][id] == {"jax": WELL}


def test_what_is_stored_of_a_failure_has_no_paths_and_no_program():
    failure = Failure(
        "Dense  S1  FAILED",
        "A claim.",
        raised="TypeError",
        message="no",
        at="/some/where/keras/src/layer.py:1",
        hint="a cause",
        program="assert 0",
    )
    kept = (
        "Dense  S1  FAILED\n  A claim.\n  raised          TypeError: no\n"
        "  at              keras/src/layer.py:1"
    )
    assert _shortened(Result("S1", "shape", "failed", 1, failure=failure)) == kept
    assert _shortened(Result("S1", "shape", "unexpected_pass", 1, "it passes")) == "it passes"
