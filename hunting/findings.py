"""The findings, written by hand in `findings.toml`, and the results that each of them explains."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

from layerzoo_entry.backends import BACKENDS

CLASSES = ("defect", "limitation", "design")


@dataclass(frozen=True)
class Finding:
    """One thing that Keras's layers do although a property forbids it.

    Attributes:
        id: Permanent; words joined by hyphens.
        kind: `defect`, `limitation` or `design`.
        title: What happens, in a few words.
        text: What happens, what one would expect, and what in Keras causes it.
        covers: The failures it explains, a line for each set: `Layer, Layer: C1 C6 @ jax torch`. Without `@`,
            on every backend where they fail.
        snippet: Python code that needs only keras and numpy, and ends in an error.
        backends: The backends on which the snippet ends in an error.
        raises: The type of that error. `Exception` if it differs between backends, or the name of a signal
            if the process dies.
        upstream: The address of a report or a discussion, if one was found.
        inconclusive: The inconclusive results it explains, in the same form as `covers`, which has only
            failures.
    """

    id: str
    kind: str
    title: str
    text: str
    covers: tuple[str, ...]
    snippet: str
    backends: tuple[str, ...] = BACKENDS
    raises: str = "AssertionError"
    upstream: str = ""
    inconclusive: tuple[str, ...] = ()

    def explains(self) -> set[tuple[str, str, str]]:
        """Each layer, property and backend whose failure it explains, if that fails."""
        return _results(self.covers)

    def leaves_open(self) -> set[tuple[str, str, str]]:
        """Each layer, property and backend whose inconclusive result it explains."""
        return _results(self.inconclusive)


def _results(lines: tuple[str, ...]) -> set[tuple[str, str, str]]:
    found = set()
    for line in lines:
        names, _, rest = line.partition(": ")
        ids, _, backends = rest.partition(" @ ")
        found |= {
            (name, id, backend)
            for name in names.split(", ")
            for id in ids.split()
            for backend in backends.split() or BACKENDS
        }
    return found


def findings(name: str = "findings.toml") -> list[Finding]:
    """Every finding of a file, in its order."""
    text = (Path(__file__).parent / name).read_text(encoding="utf-8")
    return [
        Finding(**{k: tuple(v) if isinstance(v, list) else v for k, v in each.items()})
        for each in tomllib.loads(text)["finding"]
    ]
