"""Every Python block of the documentation runs as it stands, without a warning, and prints what it says."""

import io
import re
import sys
import textwrap
import types
from collections import defaultdict
from contextlib import redirect_stdout
from pathlib import Path

import keras
import pytest

import layerzoo

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^( *)(`{3,})python\b[^\n]*\n(.*?)\n\1\2$", re.MULTILINE | re.DOTALL)


def blocks(text):
    """The Python blocks of a Markdown text, less those that only include a file."""
    found = [textwrap.dedent(match[3]) for match in BLOCK.finditer(text)]
    return [code for code in found if not code.startswith("--8<--")]


def expected(code):
    """What the `#>` lines of a block say that it prints."""
    lines = re.findall(r"^#>(?: (.*))?$", code, re.MULTILINE)
    return "".join(line + "\n" for line in lines)


def backend_of(code):
    """The backend that a block chooses before it imports Keras, or None if it runs on each."""
    chosen = re.search(r'^os\.environ\["KERAS_BACKEND"\] = "(\w+)"$', code, re.MULTILINE)
    return chosen and chosen[1]


ELSEWHERE = (
    "docs/hunting.md",
    "docs/guide/property-tests.md",
    "docs/guide/first-model.md",
    "docs/guide/generating.md",
)
"""The pages whose blocks fail on purpose or need a model; `tests/hunting` and `tests/guide` run them."""


GENERATED = "docs/layers/"
"""The pages whose blocks all come from one template; the kit runs the example in the docstring too."""


def all_blocks():
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        page = path.relative_to(ROOT).as_posix()
        if page in ELSEWHERE:
            continue
        for number, code in enumerate(blocks(path.read_text(encoding="utf-8"))):
            marks = [pytest.mark.proof] if page.startswith(GENERATED) else []
            yield pytest.param(page, code, id=f"{page}-{number}", marks=marks)
    for name, card in sorted(layerzoo.catalogue().items()):
        for code in blocks(textwrap.dedent(card.layer.__doc__)):
            yield pytest.param(name, code, id=f"docstring-of-{name}", marks=pytest.mark.proof)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A working folder for each page, as a reader has one: a block may load what another saved."""
    return defaultdict(lambda: tmp_path_factory.mktemp("page"))


@pytest.mark.parametrize(("page", "code"), list(all_blocks()))
def test_the_block_prints_what_it_says(page, code, folders, monkeypatch):
    if backend_of(code) not in (None, keras.backend.backend()):
        pytest.skip(f"a program for the backend {backend_of(code)}")
    monkeypatch.setenv("KERAS_BACKEND", keras.backend.backend())  # which a block may set as well
    monkeypatch.chdir(folders[page])
    printed = io.StringIO()
    source = folders[page] / "block.py"
    source.write_text(code, encoding="utf-8")
    module = types.ModuleType("block")  # from which a class can be imported, to copy a layer
    monkeypatch.setitem(sys.modules, module.__name__, module)
    with redirect_stdout(printed):
        exec(compile(code, str(source), "exec"), vars(module))
    assert printed.getvalue() == expected(code)


def test_a_block_is_found_inside_a_tab_and_an_include_is_not():
    text = '=== "Tab"\n\n    ```python\n    print(1)\n    #> 1\n    ```\n\n````python\n--8<-- "x"\n````\n'
    assert blocks(text) == ["print(1)\n#> 1"]
    assert expected("print('a\\n')\n#> a\n#>\n") == "a\n\n"


def test_a_block_for_one_backend_says_so():
    page = (ROOT / "docs" / "guide" / "three-ways.md").read_text(encoding="utf-8")
    named = [backend_of(code) for code in blocks(page)]
    assert sorted(filter(None, named)) == ["jax", "tensorflow", "torch"]
    assert backend_of("import keras") is None
