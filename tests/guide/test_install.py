"""The page on installing names the extras and versions of `pyproject.toml`, and its commands copy cleanly."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "guide" / "install.md").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
COMMANDS = re.findall(r"^```bash\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
OWN_PAGES = sorted((ROOT / "docs" / "guide").glob("*.md"))


def test_the_table_names_every_extra():
    assert re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE) == list(
        PROJECT["optional-dependencies"]
    )


def test_the_versions_are_those_of_the_project():
    python = PROJECT["requires-python"].removeprefix(">=")
    (keras,) = (each.removeprefix("keras>=") for each in PROJECT["dependencies"])
    assert f"Python {python} or later, Keras {keras} or later" in PAGE


def test_every_extra_in_a_command_exists():
    named = re.findall(r"\[([\w,]+)\]\"", PAGE)
    assert len(named) > 4
    for extras in named:
        assert set(extras.split(",")) <= set(PROJECT["optional-dependencies"])


def test_every_extra_in_a_command_is_quoted():
    assert len(COMMANDS) > 4
    for command in COMMANDS:
        for word in re.findall(r"\S*\[[\w,]+\]\S*", command):
            assert word.endswith('"')


@pytest.mark.parametrize("page", OWN_PAGES, ids=lambda page: page.stem)
def test_no_command_is_copied_with_its_prompt(page):
    assert not re.search(r"^ *\$ ", page.read_text(encoding="utf-8"), re.MULTILINE)
