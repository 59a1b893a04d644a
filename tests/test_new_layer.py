"""A new layer is files of its own: no file that another layer edits is edited for it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.proof
ROOT = Path(__file__).parents[1]
PLUGIN = ROOT / "layerzoo_entry" / "plugin" / "my_layers"
PARTS = ("layerzoo", "layerzoo_entry", "docs", "measured", "mkdocs.yml", "README.md")
LOOK = """
import json, sys
import keras
import layerzoo
from layerzoo.testing import check_layer

card = layerzoo.catalogue()["Affine"]
report = check_layer(card, profile="smoke", only=["S1", "C1", "G1"])
print(json.dumps({
    "from": layerzoo.__file__,
    "exported": layerzoo.Affine is layerzoo.blocks.Affine is card.layer,
    "registered": keras.saving.get_registered_object("layerzoo>Affine") is card.layer,
    "family": card.family,
    "checked": [[result.id, result.status] for result in report.results],
}))
"""


def run(checkout, *command):
    """What a command prints, run in a copy of the checkout and with its code."""
    environment = {**os.environ, "PYTHONPATH": str(checkout)}
    done = subprocess.run(
        [sys.executable, *command], cwd=checkout, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A copy of the checkout with a layer added, the first of its family, and its pages written."""
    copy = tmp_path_factory.mktemp("checkout")
    for part in PARTS:
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / part, copy / part)
    before = read(copy)
    recipe = (PLUGIN / "affine.py").read_text().replace("my_layers", "layerzoo")
    (copy / "layerzoo/blocks/affine.py").write_text(recipe)
    card = (
        (PLUGIN / "cards" / "affine.py")
        .read_text()
        .replace("my_layers.affine", "layerzoo.blocks.affine")
    )
    (copy / "layerzoo/blocks/cards/affine.py").write_text(card)
    run(copy, "-m", "layerzoo_entry.cli", "docs")
    return copy, before


def read(folder):
    """The text of each file by its path, without what Python compiles."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_it_is_listed_exported_registered_and_checked(checkout):
    copy, _ = checkout
    found = json.loads(run(copy, "-c", LOOK).splitlines()[-1])
    assert found.pop("from") == str(copy / "layerzoo" / "__init__.py")
    assert found == {
        "exported": True,
        "registered": True,
        "family": "blocks",
        "checked": [["C1", "passed"], ["G1", "passed"], ["S1", "passed"]],
    }


def test_it_is_on_its_page_and_in_every_list(checkout):
    copy, _ = checkout
    page = (copy / "docs/layers/blocks/affine.md").read_text()
    assert "from layerzoo import Affine" in page
    assert '--8<-- "docs/layers/blocks/affine.svg"' in page
    assert "<svg" in (copy / "docs/layers/blocks/affine.svg").read_text()
    assert "          - Affine: layers/blocks/affine.md" in (copy / "mkdocs.yml").read_text()
    for name in ("README.md", "docs/catalogue.md", "docs/llms.txt", "docs/layers/blocks/index.md"):
        assert "Affine" in (copy / name).read_text(), name


def test_what_else_changed_is_generated(checkout):
    copy, before = checkout
    after = read(copy)
    changed = {name for name in after if after[name] != before.get(name)}
    own = {
        "layerzoo/blocks/affine.py",
        "layerzoo/blocks/cards/affine.py",
        "docs/layers/blocks/affine.md",
        "docs/layers/blocks/affine.svg",
        "docs/layers/blocks/affine.trace.svg",
    }
    lists = {
        "layerzoo/__init__.py",
        "layerzoo/blocks/__init__.py",
        "docs/catalogue.md",
        "docs/layers/blocks/index.md",
        "docs/llms.txt",
        "mkdocs.yml",
        "README.md",
    }
    assert changed - own == lists
    assert set(before) <= set(after)
