"""What was found, as written down by hand in `findings.toml`, and which results each finding explains."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

BACKENDS = ("tensorflow", "jax", "torch")
CLASSES = ("defect", "limitation", "design")


@dataclass(frozen=True)
class Finding:
    """One thing that Keras's layers do and a property says that they should not.

    Attributes:
        id: Stable, in words joined by hyphens.
        kind: `defect`, `limitation` or `design`.
        title: What happens, in a few words.
        text: What happens, what one would expect, and where in Keras it comes from.
        covers: Which results it explains, a line for each set: `Layer, Layer: C1 C6 @ jax torch`; without
            an `@` on every backend where they fail.
        snippet: Python with keras and numpy alone that ends in an error.
        backends: Where the snippet ends in an error.
        raises: The type of that error; `Exception` where each backend has its own, and the name of a signal
            where the process dies.
        upstream: The address of a report or a discussion, if one was found.
        inconclusive: Which inconclusive results it explains, written like `covers`, which explains none.
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
        """Each layer, property and backend whose failure it may explain."""
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
