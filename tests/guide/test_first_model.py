"""The page on a first model says what its programs wrote, and each runs in a process of its own."""

import importlib.util
import json
import re
from pathlib import Path

import pytest

pytest.importorskip("sklearn", reason="the extra `demo` is not installed")
pytest.importorskip("matplotlib", reason="the extra `demo` is not installed")

DOCS = Path(__file__).parents[2] / "docs"
ASSETS = DOCS / "assets" / "first_model"
NUMBERS = DOCS.parent / "measured" / "guide" / "first_model.json"
PICTURES = ["look-light.svg", "look-dark.svg"]


@pytest.fixture(scope="module")
def program():
    specification = importlib.util.spec_from_file_location(
        "first_model_program", DOCS / "guide" / "first_model.py"
    )
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def said(code):
    """What the `#>` lines of a program say that it prints."""
    return "".join(line + "\n" for line in re.findall(r"^#> (.*)$", code, re.MULTILINE))


def test_the_page_says_what_was_measured(program):
    page = program.PAGE.read_text(encoding="utf-8")
    results = json.loads(NUMBERS.read_text())
    assert results["printed"] == [said(code) for code in program.programs()]
    trained, loaded, functional = results["accuracy"]
    assert trained == loaded
    assert re.findall(r"[\d.]+%", page) == [f"{each:.1%}" for each in results["accuracy"]]
    assert functional > 0.9


def test_the_page_shows_both_pictures(program):
    page = " ".join(program.PAGE.read_text(encoding="utf-8").split())
    shown = re.findall(r"!\[[^]]{100,}?\]\(../assets/first_model/([a-z-]+\.svg)#only-(\w+)\)", page)
    assert [name for name, _ in shown] == PICTURES
    assert all(name.endswith(f"-{theme}.svg") for name, theme in shown)
    for name, colour in zip(PICTURES, program.THEMES.values(), strict=True):
        assert f"fill: #{colour}" in (ASSETS / name).read_text()


@pytest.mark.proof
def test_a_reader_can_run_the_programs_one_after_another(program, tmp_path):
    results = program.write(tmp_path, tmp_path / "numbers.json")
    assert results["printed"] == [said(code) for code in program.programs()]
    assert results["accuracy"][0] == results["accuracy"][1]
    assert {path.name for path in tmp_path.iterdir()} == {"numbers.json", *PICTURES}
