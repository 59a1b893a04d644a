"""The command line: quick to answer, clear about misuse, and right in what it does."""

import dataclasses
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import keras
import pytest

from layerzoo import catalogue, find
from layerzoo._backend import install
from layerzoo.testing import PROFILES, PROPERTIES
from layerzoo_entry import cli, index
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


def test_the_command_line_offers_every_profile():
    """It has a list of its own, because it answers without importing the kit."""
    assert list(cli.PROFILES) == list(PROFILES)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--help"], 0),
        (["--version"], 0),
        (["demo", "--help"], 0),
        (["chekc"], 2),
        (["check", "--profile", "sloppy"], 2),
        (["check", "--report", "out.txt"], 2),
        (["check", "--report", "no/such/folder/out.md"], 2),
        (["replay"], 2),
        (["demo", "--seed", "-1"], 2),
        (["new", "my-layers", "--out", "{folder}"], 0),
        (["new", "keras"], 2),
        ([], 0),
        (["list"], 0),
        (["list", "SwiGLU"], 0),
        (["list", "nothing-like-this"], 1),
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
        ["explain", "Z9"],
        ["replay", "nonsense"],
        ["selftest", "--only", "Z9"],
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


def test_eject_overwrites_a_file_only_when_asked(tmp_path, capsys):
    file = tmp_path / "drop.py"
    arguments = ["eject", "DropPath", "--out", str(file)]
    assert main(arguments) == main(arguments) == 0, "the same again changes nothing"
    source = file.read_text()
    file.write_text(edited := source + "# mine\n")
    capsys.readouterr()
    assert main(arguments) == 2
    assert file.read_text() == edited
    assert f"with `--force`. Received: --out {file}, which exists" in capsys.readouterr().err
    assert main([*arguments, "--force"]) == 0
    assert file.read_text() == source


@pytest.mark.parametrize("command", ["check", "bench"])
@pytest.mark.parametrize("suffix", [".json", ".md", ".html"])
def test_a_report_overwrites_only_a_report(command, suffix, tmp_path, capsys):
    file = tmp_path / f"notes{suffix}"
    file.write_text("mine")
    with pytest.raises(SystemExit) as leave:
        main([command, "DropPath", "--report", str(file)])
    assert leave.value.code == 2
    assert "overwrites only what it wrote itself" in capsys.readouterr().err
    assert file.read_text() == "mine"


@pytest.mark.parametrize(
    ("command", "kind"),
    [
        (["check", "DropPath", "--only", "S1"], "verified"),
        (["bench", "DropPath"], "cost"),
        (["selftest", "--matrix"], "kills"),
    ],
)
def test_a_measurement_overwrites_only_a_measurement(command, kind, tmp_path, capsys):
    name = keras.backend.backend() if kind == "kills" else "DropPath"
    file = tmp_path / kind / f"{name}.json"
    file.parent.mkdir()
    file.write_text('{"mine": 1}')
    option = [] if kind == "kills" else ["--measured"]
    assert main([*command, *option, str(tmp_path)]) == 2
    assert f"Received: {file}, not written by it" in capsys.readouterr().err
    assert file.read_text() == '{"mine": 1}'


def test_the_index_says_what_the_cards_say():
    for entry in index.ours():
        card = catalogue()[entry.name]
        for field in dataclasses.fields(entry):
            assert getattr(entry, field.name) == getattr(card, field.name)
    assert {entry.name for entry in index.ours()} == {
        name for name, card in catalogue().items() if card.layer.__module__.startswith("layerzoo.")
    }


FAMILIAR = {
    "MHA GQA MQA tfa.layers.MultiHeadAttention MultiheadAttention": {
        "SelfAttention",
        "CrossAttention",
    },
    "RoPE rotary-position-embedding": {"RotaryEmbedding"},
    "ALiBi": {"AlibiBias"},
    "MLA": {"MultiHeadLatentAttention"},
    "SwiGLU GEGLU swiglu": {"GatedMLP"},
    "SE squeeze_and_excitation": {"SqueezeExcite"},
    "CBAM": {"ConvolutionalBlockAttention"},
    "ECA": {"EfficientChannelAttention"},
    "Swin": {"WindowAttention"},
    "stochastic_depth StochasticDepth": {"DropPath", "Residual"},
    "LayerScale layer-scale": {"LayerScale"},
    "ReZero re_zero": {"ReZero"},
    "TCN": {"TemporalBlock"},
    "mHC hyper-connections": {"HyperConnections"},
}


@pytest.mark.parametrize("words", FAMILIAR)
def test_familiar_names_are_found(words):
    for word in words.split():
        assert {each.name for each in find(word)} == FAMILIAR[words]
        assert {each.name for each in index.matching(index.ours(), word)} == FAMILIAR[words]


@pytest.mark.parametrize("width", [30, 80, 200])
def test_the_list_cuts_no_name_and_fits(width):
    text = index.written(index.ours(), width)
    for entry in index.ours():
        assert re.search(rf"^  {entry.name}\b", text, re.MULTILINE)
    if width >= 80:
        assert max(map(len, text.splitlines())) <= width
    long = index.Entry("N" * 100, "family", "What it does.")
    assert f"  {'N' * 100}\n" in index.written([long], 80)


def test_a_name_in_another_case_or_an_alias_is_enough(capsys):
    for word in ("GatedMLP", "gated_mlp", "swiglu", "timm.layers.SwiGLU"):
        assert main(["show", word]) == 0
        out = capsys.readouterr().out
        assert out.startswith("GatedMLP(")
        assert "Also known as: SwiGLU, GEGLU" in out


@pytest.mark.parametrize("command", ["show", "eject", "bench", "check", "list"])
def test_a_mistyped_name_is_answered_by_the_nearest(command, capsys):
    assert main([command, "SelfAtention"]) == (1 if command == "list" else 2)
    assert "Did you mean SelfAttention" in "".join(capsys.readouterr())


@pytest.mark.parametrize(
    ("word", "names"),
    [("Drop", ["DropPath"]), ("Nope", []), ("swigluu", ["GatedMLP"]), ("zzz", []), ("", [])],
)
def test_only_near_names_are_offered(word, names):
    assert index.close(index.ours(), word) == names


def test_a_name_of_several_layers_names_them(capsys):
    assert main(["show", "MHA"]) == 2
    assert "It stands for CrossAttention and SelfAttention" in capsys.readouterr().err


@pytest.mark.parametrize("name", catalogue())
def test_show_prints_equations_without_latex(name, capsys):
    assert main(["show", name]) == 0
    out = capsys.readouterr().out
    assert not re.search(r"[$\\]", out)


def test_list_finds_by_pattern(capsys):
    assert main(["list", "gated*"]) == 0
    assert "GatedMLP" in capsys.readouterr().out
    assert main(["list", "nothing-like-this"]) == 1


def test_show_prints_the_documentation(capsys):
    assert main(["show", "DropPath"]) == 0
    out = capsys.readouterr().out
    assert "drops a residual branch for random samples" in out
    assert "Claims" in out


def test_check_writes_a_report_and_exits_0(tmp_path, capsys):
    report = tmp_path / "report.json"
    arguments = ["check", "DropPath", "--only", "S1", "--only", "R*", "--profile", "smoke"]
    assert main([*arguments, "--report", str(report)]) == 0
    found = json.loads(report.read_text())
    backend = keras.backend.backend()
    assert found["profile"] == "smoke"
    assert set(found["properties"]) == {"S1", "R1", "R2", "R3", "R4", "R5"}
    assert found["layers"]["DropPath"]["S1"][backend]["status"] == "passed"
    assert found["layers"]["DropPath"]["S1"][backend]["samples"] == 2


CARDS = """
from dataclasses import replace

from layerzoo import Card, DropPath
from layerzoo.testing.proof.broken import BROKEN, SOUND

class Explodes(DropPath):
    def __init__(self, **kwargs):
        raise RuntimeError("boom")

broken = next(each.card for each in BROKEN if each.card.name == "WrongOutputShape")
explodes = Card(layer=Explodes, inputs="b t d")
strong = SOUND[0]
weak = replace(strong, configs=lambda pick: {**strong.configs(pick), "gain": 1.0})
"""


@pytest.fixture
def cards(tmp_path, monkeypatch):
    """The name of a module with a card of a broken layer and one that cannot be used."""
    (tmp_path / "cards_of_cli.py").write_text(CARDS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield "cards_of_cli"
    sys.modules.pop("cards_of_cli", None)


def test_check_exits_1_and_prints_the_failure(cards, capsys):
    assert main(["check", f"{cards}:broken", "--only", "S1", "--profile", "smoke"]) == 1
    assert "symbolic shape" in capsys.readouterr().out


@pytest.mark.parametrize(("failing", "code"), [("DropPath", 2), ("cards_of_cli:broken", 1)])
def test_a_target_that_cannot_be_used_does_not_stop_the_others(cards, capsys, failing, code):
    report = Path("out.json")
    targets = [f"{cards}:explodes", "no.such:thing", failing]
    arguments = [*targets, "--only", "S1", "--profile", "smoke", "--report", str(report)]
    assert main(["check", *arguments]) == code
    told = capsys.readouterr().err
    assert [line.split(": ")[2] for line in told.splitlines() if "error" in line] == targets[:2]
    assert "RuntimeError: boom" in told
    found = json.loads(report.read_text())
    assert found["manifest"][keras.backend.backend()]["checks"] == 1
    assert len(found["problems"][keras.backend.backend()]) == 2


def test_a_run_that_looked_at_nothing_fails(capsys):
    assert main(["check", "RotaryEmbedding", "--only", "R3", "--profile", "smoke"]) == 1
    assert "none of the selected properties applies" in capsys.readouterr().out


def test_a_result_that_did_not_look_fails(monkeypatch, capsys):
    from layerzoo.testing import Result
    from layerzoo.testing.front import commands

    empty = Result("S1", "shape_static", "passed", 0)
    monkeypatch.setattr(commands, "check_property", lambda *_, **__: empty)
    assert main(["check", "DropPath", "--only", "S1"]) == 1
    assert "DropPath S1 on" in capsys.readouterr().out


@pytest.mark.proof
def test_another_process_finds_the_same(cards):
    from layerzoo.testing import select
    from layerzoo.testing.front import commands
    from layerzoo_entry.cli import parser

    targets = ["DropPath", f"{cards}:broken", f"{cards}:explodes"]
    arguments = ["check", *targets, "--only", "S1", "--only", "L6", "--profile", "smoke"]
    options = parser().parse_args(arguments)
    there = commands._checked_on(keras.backend.backend(), options).to_dict()
    here = commands._checked_here(select("S1", "L6"), options).to_dict()
    for data in (here, there):
        for results in data["layers"].values():
            for entry in results.values():
                entry[keras.backend.backend()].pop("seconds")
    assert there == here


def test_explain_tells_the_claim_the_source_and_what_it_catches(capsys):
    assert main(["explain", "C1"]) == 0
    out = capsys.readouterr().out
    assert "C1 config_roundtrip" in out
    assert "A layer revived from its config has the same arguments, also inside" in out
    assert "def config_roundtrip(case" in out
    assert "ConfigDropsArgument: `gain` is missing from the config." in out
    assert main(["explain"]) == 0
    listed = capsys.readouterr().out
    assert all(f"{each.id} {each.name}" in listed for each in PROPERTIES.values())


def test_selftest_shows_that_a_property_can_fail(capsys):
    assert main(["selftest", "--only", "S1", "--only", "M2"]) == 0
    out = capsys.readouterr().out
    assert "WrongOutputShape" in out
    assert "none fails on a sound layer" in out


def test_selftest_tells_which_property_cannot_fail(monkeypatch, capsys):
    from layerzoo.testing.proof import selftest

    (sound, *_), broken = selftest.SOUND, next(b for b in selftest.BROKEN if b.kill == "S1")
    harmless = dataclasses.replace(broken, card=sound)
    monkeypatch.setattr(selftest, "BROKEN", (harmless,))
    monkeypatch.setattr(selftest, "SOUND", ())
    assert main(["selftest", "--only", "S1", "--only", "S2"]) == 1
    out = capsys.readouterr().out
    assert "S1 cannot fail here: Sound breaks it, but the result is passed" in out
    assert "S2 cannot fail here: no broken layer breaks it" in out
    monkeypatch.setattr(selftest, "BROKEN", (dataclasses.replace(broken, raises=True),))
    monkeypatch.setattr(selftest, "SOUND", (broken.card,))
    assert main(["selftest", "--only", "S1"]) == 1
    out = capsys.readouterr().out
    assert "S1 fails here, but not from the defect in WrongOutputShape" in out
    assert "S1 fails on a sound layer, WrongOutputShape: failed" in out


def test_an_interrupted_command_exits_130(monkeypatch, capsys):
    from layerzoo import cli

    def interrupted(options):
        raise KeyboardInterrupt

    monkeypatch.setitem(cli.COMMANDS, "show", interrupted)
    assert main(["show", "DropPath"]) == 130
    assert "interrupted" in capsys.readouterr().err


def test_a_defect_of_ours_is_not_dressed_up_as_misuse(monkeypatch):
    from layerzoo import cli

    def defective(options):
        raise ValueError("operands could not be broadcast")

    monkeypatch.setitem(cli.COMMANDS, "show", defective)
    with pytest.raises(ValueError, match="broadcast"):
        main(["show", "DropPath"])


@pytest.mark.parametrize("error", [ValueError, TypeError, ImportError, OSError])
def test_an_error_that_speaks_as_ours_do_shows_its_traceback(error, monkeypatch):
    """Keras says "Received:" as well, and a package that cannot be imported "pip install"."""
    from layerzoo import cli

    def defective(options):
        raise error("Invalid dtype. Received: x. Try pip install keras")

    monkeypatch.setitem(cli.COMMANDS, "show", defective)
    with pytest.raises(error, match="Received: x"):
        main(["show", "DropPath"])


def test_an_error_of_keras_inside_a_command_shows_its_traceback(monkeypatch):
    from layerzoo.cookbook import eject

    def defective(*arguments):
        return keras.layers.Dense(-1)

    monkeypatch.setattr(eject, "eject", defective)
    with pytest.raises(ValueError, match="Received: units=-1"):
        main(["eject", "DropPath"])


def test_an_error_of_the_user_is_a_value_error_too():
    from layerzoo.testing import select
    from layerzoo_entry.usage import NotInstalled, UsageError, users

    assert issubclass(UsageError, ValueError)
    assert issubclass(NotInstalled, ImportError)
    with pytest.raises(UsageError, match="Received: 'Z9'"), users(ValueError):
        select("Z9")
    with pytest.raises(KeyError), users(ValueError, OSError):
        {}["missing"]


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
        report = Path(folder) / "out.json"
        backends = ["--backend", other, "--backend", keras.backend.backend()]
        arguments = ["DropPath", "--only", "S1", *backends, "--report", str(report)]
        assert main(["check", *arguments]) == 2
        found = json.loads(report.read_text())
    told = capfd.readouterr().err
    assert "Traceback" not in told
    assert install(other) in told
    assert set(found["layers"]["DropPath"]["S1"]) == {keras.backend.backend()}, "which was there"


def test_infer_prints_a_card_that_runs(tmp_path, capsys, monkeypatch):
    assert main(["infer", "keras.layers:Dense"]) == 0
    (tmp_path / "inferred_card.py").write_text(capsys.readouterr().out)
    monkeypatch.chdir(tmp_path)
    assert main(["check", "inferred_card", "--only", "S1", "--profile", "smoke"]) == 0


def test_infer_of_no_layer_is_misuse(capsys):
    assert main(["infer", "keras.layers:Nothing"]) == 2
    assert "has no `Nothing`" in capsys.readouterr().err


def test_a_mutant_that_no_property_sees_fails_the_check(cards, capsys):
    arguments = ["check", f"{cards}:weak", "--only", "S1", "--profile", "smoke", "--mutate"]
    assert main(arguments) == 1
    assert (
        "let a pick in `configs` set `gain` to something other than its default"
        in capsys.readouterr().out
    )


def test_warnings_of_keras_are_not_shown_at_each_call(tmp_path, monkeypatch):
    (tmp_path / "warns.py").write_text(
        "import warnings\n"
        "import keras\n"
        "class Warns(keras.layers.Layer):\n"
        "    def call(self, inputs):\n"
        "        place = dict(filename='layer.py', lineno=1, module='keras.src.layers.layer')\n"
        "        warnings.warn_explicit('it looks unbuilt', UserWarning, **place)  # an error here\n"
        "        return inputs\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "warnoptions", [])
    assert main(["check", "warns:Warns", "--only", "S1"]) == 0
    monkeypatch.setattr(sys, "warnoptions", ["error"])
    assert main(["check", "warns:Warns", "--only", "S1"]) == 2
