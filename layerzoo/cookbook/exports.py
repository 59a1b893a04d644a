"""The re-exports of layerzoo and of its families, generated from the layer files.

This only reads source, so it finds a layer that was just added before anything imports it.
"""

import ast
from itertools import chain
from pathlib import Path

WRITTEN = "# Written by `layerzoo docs` from the files beside it."
END = "# Written by hand."
ALWAYS = {"layerzoo.catalogue": ["Card", "Traits", "catalogue", "find"]}
"""What `layerzoo` exports besides its layers."""


def exports(house: Path) -> dict[Path, str]:
    """The text of each generated `__init__.py`, by its path.

    Args:
        house: The folder of the package `layerzoo`.
    """
    families = sorted(path.parent for path in house.glob("*/cards"))
    texts = {}
    everything = dict(ALWAYS)
    for family in families:
        found = layers_of(family)
        module = f"layerzoo.{family.name}"
        texts[family / "__init__.py"] = _text(
            family, {f"{module}.{k}": v for k, v in found.items()}
        )
        if found:
            everything[module] = sorted(chain(*found.values()), key=_as_ruff_imports)
    texts[house / "__init__.py"] = _text(house, everything)
    return texts


def layers_of(family: Path) -> dict[str, list[str]]:
    """The public classes of each file of a family, by the file's name."""
    found = {}
    for path in sorted(family.glob("[a-z]*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names = [node.name for node in tree.body if isinstance(node, ast.ClassDef)]
        found[path.stem] = [name for name in names if not name.startswith("_")]
    return found


def _text(folder: Path, names: dict[str, list[str]]) -> str:
    """A package's `__init__.py`: the imports of these names by module, between the parts written by hand."""
    text = (folder / "__init__.py").read_text(encoding="utf-8")
    head, _, rest = text.partition(WRITTEN)
    if not names:
        return head
    tail = rest.partition(END)[2]
    imports = "\n".join(_import(module, names[module]) for module in sorted(names))
    found = sorted(chain(*names.values()), key=_as_ruff_lists)
    exported = "".join(f'    "{name}",\n' for name in found)
    written = f"{WRITTEN}\n{imports}\n\n__all__ = [\n{exported}]\n"
    return f"{head.rstrip()}\n\n{written}" + (f"\n{END}{tail}" if tail else "")


def _as_ruff_imports(name: str) -> tuple[bool, str]:
    """The order of names in an import: those without small letters, such as `GLU`, come first."""
    return not name.isupper(), name.lower()


def _as_ruff_lists(name: str) -> tuple[bool, str]:
    """The order of names in `__all__`."""
    return not name.isupper(), name


def _import(module: str, names: list[str]) -> str:
    """An import statement, formatted as the formatter would."""
    line = f"from {module} import {', '.join(names)}"
    if len(line) <= 100:
        return line
    return f"from {module} import (\n" + "".join(f"    {name},\n" for name in names) + ")"
