"""The parts of `.ci/run` that can go wrong in silence: what it leaves out, its two cores, and its model."""

import ast
import importlib.util
import subprocess
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
CI = TESTS.parent / ".ci"


def loaded(path):
    spec = importlib.util.spec_from_file_location(f"{path.stem}_of_ci", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


minutes, conftest = loaded(CI / "minutes.py"), loaded(TESTS / "conftest.py")


@pytest.mark.parametrize("name", [*conftest.ONCE, *conftest.EVERYWHERE])
def test_what_runs_once_is_there(name):
    path, _, test = name.partition("::")
    assert (TESTS / path).exists()
    assert not test or f"def {test.partition('[')[0]}(" in (TESTS / path).read_text("utf-8")
    assert not test or path.startswith(conftest.ONCE)


def test_a_comparison_with_torch_says_so_in_its_name():
    """By which CI finds it, to run it where PyTorch is installed and the backend is another one."""
    found = {}
    for path in sorted(TESTS.glob("*/test_*.py")):
        for node in ast.parse(path.read_text("utf-8")).body:
            if isinstance(node, ast.FunctionDef) and 'importorskip("torch"' in ast.unparse(
                node
            ).replace("'", '"'):
                found[f"{path.name}::{node.name}"] = "in_torch" in node.name
    assert len(found) > 10
    assert [name for name, said in found.items() if not said] == []


def beside(*functions):
    """Run functions of bash as `.ci/run` does."""
    run = (CI / "run").read_text("utf-8")
    start = run.index("beside() {")
    source = run[start : run.index("\n}", start) + 2]
    names = " ".join(each.partition("(")[0] for each in functions)
    lines = ["set -euo pipefail", source, *functions, f"beside {names}", "echo after"]
    return subprocess.run(["bash", "-c", "\n".join(lines)], capture_output=True, text=True)


def test_commands_side_by_side_print_in_order_and_all_have_to_succeed():
    done = beside("first() { sleep 0.2; echo 1; echo 2 >&2; }", "second() { echo 3; }")
    assert (done.returncode, done.stdout) == (0, "1\n2\n3\nafter\n")
    for bad in ("false", "exit 3", "no_such_command"):
        failing = f"failing() {{ echo 1; {bad}; echo never; }}"
        for order in ([failing, "second() { echo 3; }"], ["second() { echo 3; }", failing]):
            done = beside(*order)
            assert done.returncode == 1
            assert "failed: failing" in done.stdout
            assert {"1", "3"} <= set(done.stdout.split("\n"))
            assert not {"never", "after"} & set(done.stdout.split())


TESTED = dict(kit=300.0, own=100.0, house=200.0, checked=50, known=150, session=400.0)


@pytest.mark.parametrize(
    ("step", "growth", "new", "expected"),
    [
        (dict(seconds=90), 3, True, 90),
        (dict(seconds=500, tests=TESTED), 1, False, 500),
        (dict(seconds=500, tests=TESTED), 2, False, 100 + 400 * (2 * 400 + 200) / 600),
        (dict(seconds=500, tests=TESTED), 1, True, 100 + 400 * (4 * 300 + 100 + 200) / 600),
        (dict(seconds=500, tests=TESTED), 3, True, 100 + 400 * (3 * 1300 + 200) / 600),
    ],
)
def test_the_model_of_a_step(step, growth, new, expected):
    assert minutes.seconds("wheel", step, growth, new) == pytest.approx(expected)
    assert minutes.seconds("docs", dict(seconds=90), growth, new) == 90 * growth


@pytest.mark.parametrize(
    ("test", "kind"),
    [
        ("test_every_layer.py::test_contract[DropPath-S1.shape_static]", "kit"),
        ("residual/test_residual.py::test_scale_is_where_the_factor_starts", "own"),
        ("parity/test_timm.py::test_squeeze_excite[1]", "own"),
        ("test_padding.py::test_it[SelfAttention-0]", "own"),
        ("docs/test_snippets.py::test_it[docs/layers/gated/gated_mlp.md-2]", "own"),
        ("docs/test_snippets.py::test_it[docs/guide/gated_mlps.md-2]", "house"),
        ("testing/test_kit.py::test_self_attention", "house"),
    ],
)
def test_what_a_test_is_about(test, kind):
    assert conftest.kind(f"tests/{test}") == kind
