"""What the run on a Keras nightly says of two sets of results, and with which exit code."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / ".ci" / "nightly.py"


@pytest.fixture
def nightly():
    spec = importlib.util.spec_from_file_location("nightly", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def results(**statuses):
    return {id: {"tensorflow": {"status": status}} for id, status in statuses.items()}


@pytest.mark.parametrize(
    ("was", "now", "said"),
    [
        ("passed", "failed", "lost"),
        ("passed", "inconclusive", "lost"),
        ("passed", "not_applicable", "lost"),
        ("failed", "passed", "gained"),
        ("not_applicable", "passed", "gained"),
        ("not_applicable", "failed", "changed"),
        ("expected_failure", "unexpected_pass", "changed"),
    ],
)
def test_a_status_is_lost_gained_or_changed(nightly, was, now, said):
    lines = nightly.compare(
        "L", "tensorflow", results(M1=was, S1="passed"), results(M1=now, S1="passed")
    )
    assert lines == [f"{said}: L M1 is {now}, and was {was}"]


def test_a_result_that_is_missing_is_lost_and_a_new_one_gained(nightly):
    lines = nightly.compare("L", "tensorflow", results(A="passed"), results(B="passed"))
    assert lines == [
        "lost: L A is not run, and was passed",
        "gained: L B is passed, and was not run",
    ]


def test_what_is_lost_comes_with_the_head_of_its_message(nightly):
    now = {"M1": {"tensorflow": {"status": "failed", "reason": "L  M1  FAILED\n  more"}}}
    (line,) = nightly.compare("L", "tensorflow", results(M1="passed"), now)
    assert line.splitlines() == ["lost: L M1 is failed, and was passed", "  L  M1  FAILED"]


def test_equal_results_say_nothing(nightly):
    same = results(M1="passed", S1="not_applicable")
    assert nightly.compare("L", "tensorflow", same, same) == []
    ends = {"findings": {"an-id": {"jax": "", "torch": "TypeError"}}}
    assert nightly.difference(ends, ends) == []


def test_a_snippet_that_ends_in_another_way_is_told(nightly):
    before = {"findings": {"an-id": {"jax": "TypeError", "torch": "TypeError"}}}
    after = {"findings": {"an-id": {"jax": ""}, "new": {"jax": "KeyError"}}}
    assert nightly.difference(before, after) == [
        "finding: an-id on jax ends in success, and ended in TypeError",
        "finding: new on jax ends in KeyError, and ended in not run",
    ]


@pytest.fixture
def run(nightly, monkeypatch, tmp_path, capsys):
    """Runs the script with these answers of the environment, and gives its exit code and what it printed."""

    def run(status="passed", names=(), selftest=0):
        (tmp_path / "measured" / "verified").mkdir(parents=True, exist_ok=True)
        (tmp_path / "measured" / "findings").mkdir(exist_ok=True)
        committed = {"keras": "3.15.1", "profile": "smoke", "results": results(M1="passed")}
        (tmp_path / "measured" / "verified" / "L.json").write_text(json.dumps(committed))
        (tmp_path / "measured" / "findings" / "keras.json").write_text('{"findings": {}}')

        def answer(python, backend, *arguments):
            if "selftest" in arguments:
                return selftest
            where = Path(arguments[-1])
            report = {"layers": {"L": results(M1=status)}, "findings": {}}
            where.write_text(json.dumps(report))
            return 0

        monkeypatch.setattr(nightly, "ROOT", tmp_path)
        monkeypatch.setattr(nightly, "_run", answer)
        monkeypatch.setattr(nightly, "_output", lambda *_: json.dumps(["3.99", list(names)]))
        monkeypatch.setattr(sys, "argv", ["nightly", "--python", "python", "--layers", "L"])
        return nightly.main(), capsys.readouterr().out.partition("=== what changed\n")[2].strip()

    return run


def test_nothing_lost_exits_0(run):
    assert run() == (0, "nothing")


@pytest.mark.parametrize("status", ["failed", "inconclusive", "not_applicable"])
def test_a_lost_status_exits_1(run, status):
    assert run(status) == (1, f"lost: L M1 is {status}, and was passed")


def test_a_lost_private_name_exits_1(run):
    assert run(names=["_flatten_layers"]) == (1, "lost: Keras's private name _flatten_layers")


def test_a_proof_that_no_longer_holds_exits_1(run):
    assert run(selftest=1) == (1, "lost: the kit's own proof, see above")


def test_no_change_waits_for_it():
    assert "nightly" not in (SCRIPT.parent / "run").read_text(encoding="utf-8")


def test_the_layers_are_ones_with_committed_results(nightly):
    for name in nightly.LAYERS:
        assert nightly.read(nightly.ROOT / "measured" / "verified" / f"{name}.json")["results"]
