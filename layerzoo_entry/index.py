"""What `layerzoo list` prints, read from the source of the cards, because importing Keras takes seconds."""

import ast
import difflib
import importlib.util
import shutil
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from importlib.metadata import entry_points
from pathlib import Path
from typing import Protocol, TypeVar


class Listed(Protocol):
    """What a list needs to know of a layer; a card has it too."""

    @property
    def name(self) -> str:
        """The name of the class."""

    @property
    def family(self) -> str:
        """The family of the layer, or the package of a plug-in."""

    @property
    def summary(self) -> str:
        """The first line of the docstring."""

    @property
    def tags(self) -> Sequence[str]:
        """Words to find the layer by."""

    @property
    def aliases(self) -> Sequence[str]:
        """Other names of the layer."""


T = TypeVar("T", bound=Listed)


@dataclass(frozen=True)
class Entry:
    """A layer as its source describes it."""

    name: str
    family: str
    summary: str
    tags: Sequence[str] = ()
    aliases: Sequence[str] = ()


def only_ours() -> bool:
    """Whether no plug-in adds cards, so that the source of layerzoo says everything."""
    points = entry_points(group="layerzoo.cards")
    return all(point.value.startswith("layerzoo.") for point in points)


def ours() -> list[Entry]:
    """The layers of layerzoo, by name. This imports nothing of it."""
    spec = importlib.util.find_spec("layerzoo")
    house = Path(spec.origin).parent  # type: ignore[union-attr, arg-type]
    cards = house.glob("*/cards/[a-z]*.py")
    return sorted((_entry(path) for path in cards), key=lambda entry: entry.name)


def _entry(card: Path) -> Entry:
    """The layer of a card's file; its recipe has the same file name, one folder up."""
    family = card.parents[1]
    (call,) = (
        node.value
        for node in ast.parse(card.read_text(encoding="utf-8")).body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "CARD"
    )
    fields = {each.arg: each.value for each in call.keywords}  # type: ignore[attr-defined]
    name = ast.unparse(fields["layer"])
    (layer,) = (
        node
        for node in ast.parse((family / card.name).read_text(encoding="utf-8")).body
        if isinstance(node, ast.ClassDef) and node.name == name
    )
    summary = (ast.get_docstring(layer) or "").split("\n")[0]
    words = {key: ast.literal_eval(fields[key]) for key in ("tags", "aliases") if key in fields}
    return Entry(name, family.name, summary, **words)


def matching(entries: Iterable[T], pattern: str) -> list[T]:
    """The layers with this name, family, tag or alias; if there are none, those that mention the word.

    Args:
        entries: The layers to look among.
        pattern: A word or shell pattern. Case, spaces, `-` and `_` do not count. For a name from another
            library, its last word or the library is enough, as in `tfa`.
    """
    entries = list(entries)
    pattern = _plain(pattern)
    found = [each for each in entries if any(fnmatchcase(w, pattern) for w in _words(each))]
    if found or set(pattern) & set("*?["):
        return found
    return [each for each in entries if any(pattern in w for w in _mentions(each))]


def named(entries: Iterable[T], name: str) -> list[T]:
    """The layers that this name or alias stands for, whatever its case."""
    return [each for each in entries if _plain(name) in _names(each)]


def close(entries: Iterable[Listed], name: str) -> list[str]:
    """The names of layers that someone may have meant, the most likely first."""
    by_word = {word: each.name for each in entries for word in sorted(_names(each))}
    plain = _plain(name)
    found = [word for word in sorted(by_word) if len(plain) > 2 and word.startswith(plain)][:3]
    found += difflib.get_close_matches(plain, by_word, 3, 0.7 if len(plain) > 5 else 0.85)
    return list(dict.fromkeys(by_word[word] for word in found))


def meant(entries: Iterable[Listed], name: str) -> str:
    """A question with the names that someone may have meant; empty if none is close."""
    names = close(entries, name)
    return f"Did you mean {' or '.join(names)}?" if names else ""


def show(entries: Iterable[Listed], pattern: str) -> int:
    """Print the layers that match a pattern. The exit code is 1 if none match."""
    entries = list(entries)
    found = matching(entries, pattern)
    print(
        written(found)
        if found
        else f"No layer matches {pattern!r}. {meant(entries, pattern)}".strip()
    )
    return 0 if found else 1


def written(entries: Sequence[Listed], width: int | None = None) -> str:
    """The layers by family, one below the other, in lines of this width. Names are never cut."""
    width = width or shutil.get_terminal_size().columns
    indent = min(max(len(each.name) for each in entries) + 4, 34)
    lines = []
    for family in sorted({each.family for each in entries}):
        lines += ["", family]
        for each in (each for each in entries if each.family == family):
            short = [
                a for a in each.aliases if "." not in a and _plain(a) not in _plain(each.summary)
            ]
            told = each.summary + (f" Also: {', '.join(short)}." if short else "")
            text = textwrap.wrap(told, max(width - indent, 24)) or [""]
            head = f"  {each.name}".ljust(indent)
            if len(head) > indent or width - indent < 24:
                lines.append(head.rstrip())
                head = " " * indent
            lines += [(head + text[0]).rstrip(), *(" " * indent + line for line in text[1:])]
    return "\n".join(lines[1:])


def _words(entry: Listed) -> set[str]:
    libraries = {alias.partition(".")[0] for alias in entry.aliases if "." in alias}
    return _names(entry) | {_plain(word) for word in (entry.family, *entry.tags, *libraries)}


def _names(entry: Listed) -> set[str]:
    last = [alias.rpartition(".")[2] for alias in entry.aliases]
    return {_plain(word) for word in (entry.name, *entry.aliases, *last)}


def _mentions(entry: Listed) -> set[str]:
    return _words(entry) | {_plain(entry.summary)}


def _plain(word: str) -> str:
    return "".join(char for char in word.lower() if char not in " -_")
