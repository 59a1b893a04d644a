"""What commands measured and verified: one small JSON file per layer and kind.

The folder `measured/` holds `verified/SelfAttention.json`, `cost/SelfAttention.json` and so on. A change to
a layer touches only the files of that layer. Pages read these files and compute nothing.
"""

import json
from collections.abc import Iterable
from pathlib import Path

from layerzoo_entry import files
from layerzoo_entry.usage import users


def path_of(folder: Path, kind: str, name: str) -> Path:
    """The file of a measurement."""
    return folder / kind / f"{name}.json"


def read(folder: Path, kind: str, name: str) -> dict:
    """Read a measurement, or give an empty dict if nothing was measured."""
    path = path_of(folder, kind, name)
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def demand_ours(folder: Path, kind: str, names: Iterable[str]) -> None:
    """Demand that writing these measurements overwrites nothing but older ones.

    Raises:
        UsageError: one of their files was not written by `write`.
    """
    paths = [path_of(folder, kind, name) for name in names]
    files.demand_ours(paths, '{\n "', advice="name another folder")


def write(folder: Path, kind: str, name: str, found: dict) -> Path:
    """Write a measurement and return its path. Each entry of its dicts and lists is one line.

    Raises:
        UsageError: the file exists and is no measurement, or cannot be written.
    """
    demand_ours(folder, kind, [name])
    path = path_of(folder, kind, name)
    entries = ",\n".join(f" {_line(key)}: {_block(value)}" for key, value in found.items())
    with users(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{{\n{entries}\n}}\n", encoding="utf-8")
    return path


def names(folder: Path, kind: str) -> list[str]:
    """The names of everything for which a kind of measurement exists."""
    return sorted(path.stem for path in (folder / kind).glob("*.json"))


def _block(value) -> str:
    if isinstance(value, dict) and any(isinstance(each, dict) for each in value.values()):
        lines = (f"  {_line(key)}: {_line(each)}" for key, each in value.items())
        return "{\n" + ",\n".join(lines) + "\n }"
    if isinstance(value, list) and any(isinstance(each, dict) for each in value):
        return "[\n" + ",\n".join(f"  {_line(each)}" for each in value) + "\n ]"
    return _line(value)


def _line(value) -> str:
    return json.dumps(value, ensure_ascii=False)
