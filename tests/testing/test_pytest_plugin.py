"""`pytest --layerzoo`: one test a property without a test file, and nothing at all unless asked for."""

import json
import subprocess
import sys

import pytest

from layerzoo.tensors import compat
from layerzoo.testing import PROPERTIES

pytest_plugins = ["pytester"]

CARDS = """
import keras
from layerzoo.catalogue import Card

@keras.saving.register_keras_serializable(package="layerzoo.tests.plugin")
class Good(keras.layers.Layer):
    def call(self, inputs):
        return inputs * 2

@keras.saving.register_keras_serializable(package="layerzoo.tests.plugin")
class Doubts(Good):
    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], 1)

class Explodes(Good):
    def __init__(self, **kwargs):
        raise RuntimeError("boom")

CARDS = [Card(layer=Good, inputs="b t"), Card(layer=Doubts, inputs="b t")]
explodes = Card(layer=Explodes, inputs="b t")
"""


@pytest.fixture
def run(pytester, monkeypatch):
    """Runs pytest in this process, where Keras is, in a folder with a module of cards."""
    monkeypatch.setenv("LAYERZOO_PROFILE", "dev")  # what the option writes over is put back
    pytester.makepyfile(cards_of_plugin=CARDS)
    return lambda *arguments: pytester.runpytest_inprocess("-p", "no:cacheprovider", *arguments)


def test_without_the_option_nothing_is_imported(tmp_path):
    (tmp_path / "test_it.py").write_text(
        "import sys\n"
        "def test_it():\n"
        "    heavy = {'keras', 'layerzoo', 'layerzoo_entry.pytest_targets'}\n"
        "    assert not heavy & set(sys.modules)\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_targets_are_tests_without_a_test_file(run):
    done = run("--layerzoo", "cards_of_plugin", "--layerzoo-only", "S[1-3]", "-v")
    assert done.ret == 1
    done.assert_outcomes(passed=4, failed=2)
    done.stdout.fnmatch_lines(
        [
            "cards_of_plugin::Good-S1.shape_static PASSED*",
            "cards_of_plugin::Doubts-S1.shape_static FAILED*",
            "*Doubts-S1.shape_static of cards_of_plugin:CARDS:Doubts*",
            "*symbolic shape*",
            "*layerzoo replay 1:S1:cards_of_plugin:CARDS:Doubts:*",
            "FAILED cards_of_plugin::Doubts-S1.shape_static - Doubts  S1 shape_static*",
        ]
    )
    assert "Traceback" not in done.stdout.str()
    assert "run.py" not in done.stdout.str(), "the way through the kit tells nothing"


def test_they_run_beside_ordinary_tests_and_are_chosen_as_those_are(run, pytester):
    pytester.makepyfile("def test_ordinary(): pass")
    targets = ["--layerzoo", "cards_of_plugin:CARDS:Good", "--layerzoo-profile", "smoke"]
    run(*targets, "--layerzoo-only", "S1").assert_outcomes(passed=2)
    run(*targets, "-k", "shape_static or ordinary").assert_outcomes(
        passed=2, deselected=len(PROPERTIES) - 1
    )
    run(*targets, "-m", "layerzoo", "-k", "R3").assert_outcomes(
        skipped=1, deselected=len(PROPERTIES)
    )


def test_a_target_that_cannot_be_used_is_an_error_beside_the_others(run, pytester):
    targets = ["cards_of_plugin:explodes", "no_such_module", "cards_of_plugin:CARDS:Good"]
    arguments = [each for target in targets for each in ("--layerzoo", target)]
    arguments += ["--layerzoo-only", "S1"]
    done = run(*arguments)
    assert done.ret == 2
    done.assert_outcomes(errors=2)
    done.stdout.fnmatch_lines(
        ["cards_of_plugin:explodes: *RuntimeError: boom*", "no_such_module: *no_such_module*"]
    )
    done = run(*arguments, "--continue-on-collection-errors", "--layerzoo-report", "out.json")
    done.assert_outcomes(errors=2, passed=1)
    assert done.ret == 1
    (problems,) = json.loads((pytester.path / "out.json").read_text())["problems"].values()
    assert len(problems) == 2


def test_a_report_is_written(run, pytester):
    files = ["out.json", "out.md", "out.html"]
    arguments = [each for file in files for each in ("--layerzoo-report", file)]
    done = run("--layerzoo", "cards_of_plugin", "--layerzoo-only", "S1", *arguments)
    assert done.ret == 1
    data = json.loads((pytester.path / "out.json").read_text())
    found = {name: each["S1"][compat.BACKEND]["status"] for name, each in data["layers"].items()}
    assert found == {"Good": "passed", "Doubts": "failed"}
    assert data["not_checked"] == []
    assert "Doubts" in (pytester.path / "out.md").read_text()
    assert "Doubts" in (pytester.path / "out.html").read_text()


@pytest.mark.proof
def test_several_processes_write_one_report(tmp_path):
    (tmp_path / "cards_of_plugin.py").write_text(CARDS)
    what = ["--layerzoo", "cards_of_plugin", "--layerzoo-only", "S[1-3]"]
    how = ["-n", "2", "-p", "no:cacheprovider", "--layerzoo-report", "out.json"]
    command = [sys.executable, "-m", "pytest", *what, *how]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    data = json.loads((tmp_path / "out.json").read_text())
    assert {name: set(found) for name, found in data["layers"].items()} == {
        "Good": {"S1", "S2", "S3"},
        "Doubts": {"S1", "S2", "S3"},
    }


@pytest.mark.parametrize(
    "arguments",
    [
        ["--layerzoo-only", "S1"],
        ["--layerzoo-report", "out.json"],
        ["--layerzoo", "DropPath", "--layerzoo-report", "out.txt"],
        ["--layerzoo", "DropPath", "--layerzoo-report", "no/out.md"],
    ],
)
def test_misuse_is_told_before_anything_is_collected(run, arguments):
    done = run(*arguments)
    assert done.ret == 4
    done.stderr.fnmatch_lines(["ERROR: *Received: *"])


def test_a_property_that_there_is_not_is_told(run):
    done = run("--layerzoo", "DropPath", "--layerzoo-only", "Z9")
    assert done.ret == 2
    done.stdout.fnmatch_lines(["--layerzoo-only: *Received: 'Z9'*"])
