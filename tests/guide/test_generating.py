"""The programs of the page on generating run one after another, on each backend those that are for it."""

import io
import re
import textwrap
from contextlib import redirect_stdout
from pathlib import Path

import keras
import pytest

PAGE = Path(__file__).parents[2] / "docs" / "guide" / "generating.md"
BLOCK = re.compile(r"^( *)```python\n(.*?)\n\1```$", re.MULTILINE | re.DOTALL)
PROGRAMS = [textwrap.dedent(found[2]) for found in BLOCK.finditer(PAGE.read_text(encoding="utf-8"))]


def own_backend(code):
    chosen = re.search(r'^os\.environ\["KERAS_BACKEND"\] = "(\w+)"$', code, re.MULTILINE)
    return chosen and chosen[1]


def test_each_backend_has_a_program_of_its_own():
    assert {own_backend(code) for code in PROGRAMS} == {None, "tensorflow", "jax", "torch"}


def test_the_programs_print_what_they_say(tmp_path, monkeypatch):
    backend = keras.backend.backend()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KERAS_BACKEND", backend)  # which a program sets as well
    ran = 0
    for number, code in enumerate(PROGRAMS):
        own = own_backend(code)
        if own not in (None, backend) or (backend == "jax" and number and own is None):
            continue  # JAX compiles each operation of the others for each length
        printed = io.StringIO()
        with redirect_stdout(printed):
            exec(compile(code, f"program {number}", "exec"), {"__name__": "program"})
        said = "".join(line + "\n" for line in re.findall(r"^#> (.*)$", code, re.MULTILINE))
        assert said
        assert printed.getvalue() == said, code
        ran += 1
    assert ran == {"tensorflow": 8, "jax": 2, "torch": 7}[backend]


@pytest.mark.parametrize("block", ["text", "plot", "memory", "cost"])
def test_the_page_has_what_was_measured(block):
    page = PAGE.read_text(encoding="utf-8")
    begin, end = f"<!-- {block}: written by `layerzoo docs` -->", f"<!-- {block}: end -->"
    assert page.count(begin) == page.count(end) == 1
    assert page.split(begin)[1].split(end)[0].strip()
