"""The command line: quick to answer, clear about misuse, and right in what it does."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import keras
import pytest

from layerzoo import catalogue
from layerzoo_entry.cli import main

WITHOUT_KERAS = """
import sys
import tempfile
from pathlib import Path
from layerzoo_entry.cli import main
try:
    code = main({arguments})
except SystemExit as leave:
    code = leave.code
heavy = sorted({{"keras", "layerzoo", "hypothesis", "pytest"}} & set(sys.modules))
print("code", code, "imported", heavy)
"""


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--help"], 0),
        (["--version"], 0),
        (["demo", "--help"], 0),
        (["chekc"], 2),
        (["check", "--profile", "sloppy"], 2),
        (["demo", "--seed", "-1"], 2),
        (["new", "my-layers", "--out", "{folder}"], 0),
        (["new", "keras"], 2),
        ([], 2),
    ],
)
def test_answers_without_keras(arguments, code, tmp_path):
    arguments = [argument.format(folder=tmp_path / "new") for argument in arguments]
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_KERAS.format(arguments=arguments)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip().endswith(f"code {code} imported []")
    assert "Traceback" not in done.stderr


def test_the_pytest_plugin_imports_nothing_heavy():
    code = (
        "import sys, layerzoo_entry.pytest_plugin; print({'keras', 'layerzoo'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize(
    "arguments",
    [
        ["show", "SelfAttension"],
        ["check", "SelfAttension"],
        ["check", "DropPath", "--only", "Z9"],
        ["eject", "SelfAttension"],
        ["eject", "DropPath", "--package", "not a name"],
        ["bench", "SelfAttension"],
        ["bench", "DropPath", "--pairs", "0"],
        ["eject", "DropPath", "--out", "no/such/folder/file.py"],
    ],
)
def test_misuse_exits_2_with_one_line(arguments, capsys):
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert captured.err.startswith("layerzoo: error: ")


def test_list_finds_by_pattern(capsys):
    assert main(["list", "gated*"]) == 0
    assert "GatedMLP" in capsys.readouterr().out
    assert main(["list", "nothing-like-this"]) == 1


def test_show_prints_the_documentation(capsys):
    assert main(["show", "DropPath"]) == 0
    out = capsys.readouterr().out
    assert "Drops whole samples" in out
    assert "Claims" in out


def test_check_writes_a_report_and_exits_0(tmp_path, capsys):
    report = tmp_path / "report.json"
    arguments = ["check", "DropPath", "--only", "S1", "--only", "R*", "--profile", "smoke"]
    assert main([*arguments, "--report", str(report)]) == 0
    found = json.loads(report.read_text())
    backend = keras.backend.backend()
    assert found["profile"] == "smoke"
    assert set(found["properties"]) == {"S1", "R1", "R2", "R3"}
    assert found["layers"]["DropPath"]["S1"][backend]["status"] == "passed"
    assert found["layers"]["DropPath"]["S1"][backend]["samples"] == 2


def test_check_exits_1_and_prints_the_failure(monkeypatch, capsys):
    from layerzoo import cli
    from layerzoo.testing.broken import BROKEN

    broken = next(b.card for b in BROKEN if b.card.name == "WrongOutputShape")
    monkeypatch.setattr(cli, "catalogue", lambda: {"WrongOutputShape": broken})
    assert main(["check", "WrongOutputShape", "--only", "S1", "--profile", "smoke"]) == 1
    assert "symbolic shape" in capsys.readouterr().out


def test_an_interrupted_command_exits_130(monkeypatch, capsys):
    from layerzoo import cli

    def interrupted(options):
        raise KeyboardInterrupt

    monkeypatch.setitem(cli.COMMANDS, "list", interrupted)
    assert main(["list"]) == 130
    assert "interrupted" in capsys.readouterr().err


def test_a_defect_of_ours_is_not_dressed_up_as_misuse(monkeypatch):
    from layerzoo import cli

    def defective(options):
        raise ValueError("operands could not be broadcast")

    monkeypatch.setitem(cli.COMMANDS, "list", defective)
    with pytest.raises(ValueError, match="broadcast"):
        main(["list"])


def test_every_command_is_documented_and_done():
    from layerzoo.cli import COMMANDS
    from layerzoo_entry.cli import parser

    (commands,) = [a for a in parser()._actions if hasattr(a, "choices") and a.choices]
    assert set(commands.choices) == {*COMMANDS, "new"}  # which needs no Keras
    assert catalogue(), "and there is something to list"


def test_a_backend_that_is_not_there_is_told_in_a_line(monkeypatch, capfd):
    """The other process has a `jax` that cannot be imported, and says so without a traceback."""
    other = "jax" if keras.backend.backend() != "jax" else "torch"
    blocked = (
        "import sys, importlib.util as u\n"
        f"sys.modules['{other}'] = None\n"
        "found = u.find_spec\n"
        f"u.find_spec = lambda name, *a: None if name == '{other}' else found(name, *a)\n"
    )
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "sitecustomize.py").write_text(blocked)
        monkeypatch.setenv("PYTHONPATH", folder)
        assert main(["check", "DropPath", "--only", "S1", "--backend", other]) == 2
    told = capfd.readouterr().err
    assert "Traceback" not in told
    assert f'pip install "layerzoo[{other}]"' in told
