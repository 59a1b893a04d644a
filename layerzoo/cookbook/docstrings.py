"""The docstring of a layer, by its sections."""

import inspect
import re
import textwrap

SECTIONS = (
    "Use when",
    "Avoid when",
    "Args",
    "Call arguments",
    "Input shape",
    "Output shape",
    "Masking",
    "Raises",
    "Example",
    "Reference",
)
"""The headings, in the order in which a layer of layerzoo has them."""


def sections(docstring: str) -> dict[str, str]:
    """A layer's docstring by section; `""` is the text before the first section, without its first line.

    The texts are dedented.
    """
    lines = inspect.cleandoc(docstring).split("\n")
    found: dict[str, list[str]] = {"": []}
    section = ""
    for line in lines[1:]:
        if line.endswith(":") and line[:-1] in SECTIONS:
            section = line[:-1]
            found[section] = []
        else:
            found[section].append(line)
    return {name: textwrap.dedent("\n".join(lines)).strip() for name, lines in found.items()}


def entries(text: str) -> dict[str, str]:
    """The `name: meaning` entries of a section, each meaning as one line."""
    found: dict[str, str] = {}
    name = ""
    for line in text.split("\n"):
        start = re.match(r"([*\w]+): (.*)", line)
        if start:
            name = start[1]
            found[name] = start[2]
        elif name and line.strip():
            found[name] += " " + line.strip()
    return found
