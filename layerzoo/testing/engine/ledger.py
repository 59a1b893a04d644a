"""The ledger: checks of our own layers that can be skipped, because nothing they depend on has changed.

`layerzoo check --measured measured` writes a key beside each good result. The key is a hash of everything
the result depends on: the backend, the versions that matter there, the profile, and source files. The
source files are those of the layer, its card, the property and the engine, and all modules of layerzoo that
these import. Docstrings are part of the source, because L7 runs the examples in them.

Our own tests skip a check if its result is known: `measured/verified/<Layer>.json` says that it was good,
and its key has not changed. Each run still checks a quarter of the known results, and the next run checks a
different quarter. So a wrong entry is found within four runs. `layerzoo check` always checks everything.
"""

import ast
import functools
import hashlib
import json
import platform
import re
import sys
import textwrap
import zlib
from collections.abc import Iterable, Iterator
from importlib.metadata import PackageNotFoundError, version
from importlib.util import resolve_name
from pathlib import Path

import keras

import layerzoo
from layerzoo import measured
from layerzoo.card import Card
from layerzoo.tensors import compat
from layerzoo.testing.engine import run
from layerzoo.testing.engine.register import PROPERTIES, Property

KNOWN = ("passed", "not_applicable", "expected_failure", "expected_inconclusive")
"""The statuses that need not be checked again. `not_run` is not among them, because it says nothing."""

ELSEWHERE = ("passed", "not_applicable")
"""The statuses that may also count for a smaller profile. It may lack the sample of an expected failure."""

QUARTERS = 4

PACKAGES = {"tensorflow": ("tensorflow",), "jax": ("jax", "jaxlib"), "torch": ("torch",)}
"""The packages of each backend. A result depends on those of its own backend, on Keras and on `ALWAYS`."""

ALWAYS = ("numpy", "hypothesis")

COMPARES = ("X5",)
"""The properties that compare backends, so that the packages of all of them count."""

OWN = ".__init__"
"""Marks the code of a package's `__init__` that is more than a re-export."""


class Sources:
    """The current source of a package, and what each module imports from the package.

    The modules are not imported. All files are read when this is created, so later edits have no effect.

    Args:
        home: The folder of the package.
    """

    def __init__(self, home: Path = Path(layerzoo.__file__).parent):
        self.texts: dict[str, str] = {}
        self.packages: set[str] = set()
        for path in sorted(home.rglob("*.py")):
            name = ".".join(path.relative_to(home.parent).with_suffix("").parts)
            if name.endswith(OWN):
                name = name.removesuffix(OWN)
                self.packages.add(name)
            self.texts[name] = path.read_text(encoding="utf-8")
        self.name = home.name
        self._nodes: dict[str, tuple[str, set[str]]] = {}

    def digest(self, modules: Iterable[str]) -> str:
        """A hash of some modules and of everything they import from the package, directly or indirectly.

        Raises:
            LookupError: a module is not in the package, or imports a module of the package that has no file.
            SyntaxError: a module, or an example in a docstring, cannot be read.
            ImportError: a relative import leaves the package.
        """
        found = self.closure(modules)
        return _hash([(name, self._node(name)[0]) for name in sorted(found)])

    def closure(self, modules: Iterable[str]) -> set[str]:
        """Some modules and everything they import from the package. Raises the same errors as `digest`."""
        found: set[str] = set()
        left = set(modules)
        while left:
            name = left.pop()
            found.add(name)
            left |= self._node(name)[1] - found
        return found

    def _node(self, name: str) -> tuple[str, set[str]]:
        """The text of a module, or of a package's own code, and the modules that it imports."""
        if name not in self._nodes:
            self._nodes[name] = self._own(name) if name.endswith(OWN) else self._whole(name)
        return self._nodes[name]

    def _whole(self, module):
        parts = module.split(".")
        packages = {".".join(parts[:place]) + OWN for place in range(1, len(parts))}
        return self.texts[module], packages | {target for _, target in self._imported(module)}

    def _own(self, name):
        module = name.removesuffix(OWN)
        own = [each for each in ast.parse(self.texts[module]).body if not _re_exports(each)]
        used = {node.id for each in own for node in ast.walk(each) if isinstance(node, ast.Name)}
        imported = {target for bound, target in self._imported(module) if bound in used}
        return "\n".join(map(ast.unparse, own)), imported

    def _imported(self, module: str) -> Iterator[tuple[str, str]]:
        """Each name that a module imports from the package, and the module that defines it."""
        for node in _imports(self.texts[module]):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    if f"{alias.name}.".startswith(f"{self.name}."):
                        yield alias.asname or self.name, self._known(alias.name)
            else:
                source = self._source(node, module)
                if f"{source}.".startswith(f"{self.name}."):
                    for alias in node.names:
                        yield alias.asname or alias.name, self._behind(source, alias.name)

    def _source(self, node: ast.ImportFrom, module: str) -> str:
        package = module if module in self.packages else module.rpartition(".")[0]
        return resolve_name("." * node.level + (node.module or ""), package)

    def _behind(self, module: str, name: str) -> str:
        """The module that defines the name in `from module import name`, following re-exports."""
        if f"{module}.{name}" in self.texts:
            return f"{module}.{name}"
        if module in self.packages:
            for node in _imports(self.texts[module]):
                if isinstance(node, ast.ImportFrom):
                    for alias in node.names:
                        if name == (alias.asname or alias.name):
                            return self._behind(self._source(node, module), alias.name)
        return self._known(module)

    def _known(self, module: str) -> str:
        if module not in self.texts:
            raise LookupError(f"A module must have a file in the package. Received: {module!r}")
        return module


def _re_exports(statement: ast.stmt) -> bool:
    """Whether a statement of an `__init__` is only a docstring, an import or `__all__`."""
    if isinstance(statement, ast.Assign):
        return ast.unparse(statement.targets[0]) == "__all__"
    docstring = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    return docstring or isinstance(statement, ast.Import | ast.ImportFrom)


@functools.cache
def _imports(text: str) -> list[ast.Import | ast.ImportFrom]:
    """The imports in a module, including those inside functions and in the fenced examples that L7 runs."""
    fenced = re.findall(r"^ *```(?:python|py)\n(.*?)^ *```", text, re.DOTALL | re.MULTILINE)
    trees = map(ast.parse, [text, *map(textwrap.dedent, fenced)])
    nodes = (node for tree in trees for node in ast.walk(tree))
    return [node for node in nodes if isinstance(node, ast.Import | ast.ImportFrom)]


def _hash(value) -> str:
    return hashlib.blake2b(json.dumps(value).encode(), digest_size=8).hexdigest()


def versions(*backends: str) -> dict[str, str]:
    """The installed versions of everything that a result on these backends depends on."""
    found = {"python": ".".join(platform.python_version_tuple()[:2]), "keras": keras.__version__}
    found["machine"] = f"{sys.platform} {platform.machine()}"
    for package in (*ALWAYS, *(name for backend in backends for name in PACKAGES[backend])):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "none"
    return found


class Ledger:
    """The known results, and the keys that show whether they are still valid.

    Args:
        folder: Where `layerzoo check --measured` writes.
        sources: What the keys are computed from. Default: the current source of layerzoo.
    """

    def __init__(self, folder: Path, sources: Sources | None = None):
        self.sources = sources or Sources()
        self._versions = functools.cache(versions)
        self._digest = functools.cache(self.sources.digest)
        self._file = functools.cache(lambda name: measured.read(folder, "verified", name))

    def key(self, card: Card, each: Property, backend: str, profile: str) -> str | None:
        """The key of a check, or None if its sources cannot all be read, as for a plug-in's layer."""
        layer = card.layer.__module__
        package, _, name = layer.rpartition(".")
        home = f"{package}.cards.{name}"
        if getattr(sys.modules.get(home), "CARD", None) is not card:
            return None
        try:
            read = [
                self._digest((layer, home)),
                self._digest((each.check.__module__, run.__name__)),
            ]
        except (LookupError, SyntaxError, ImportError):
            return None
        found = self._versions(*(PACKAGES if each.id in COMPARES else [backend]))
        return _hash([card.layer.__qualname__, each.id, read, found, backend, profile])

    def knows(self, card: Card, each: Property, profile: str) -> bool:
        """Whether a check is known to be good on this backend, and its key has not changed.

        A result of another profile counts if that profile tries every sample of this one.
        """
        status, key, written_at = self._said(card, each)
        if status not in KNOWN or key != self.key(card, each, compat.BACKEND, written_at):
            return False
        if written_at == profile:
            return True
        return status in ELSEWHERE and _includes(card, each, written_at, profile)

    def _said(self, card, each) -> tuple[str, str, str]:
        """The status, key and profile in the file; empty strings if the file lacks them or is damaged."""
        try:
            found = self._file(card.name)
            entry = found["results"][each.id][compat.BACKEND]
            said = entry["status"], entry["key"], found["profile"]
        except (OSError, ValueError, LookupError, TypeError, RecursionError):
            return "", "", ""
        return said if all(isinstance(word, str) for word in said) else ("", "", "")

    def sign(self, found: dict, card: Card) -> None:
        """Add its key to each good result, in place. `found` is the return value of `as_json.of_layer`."""
        for identity, by_backend in found["results"].items():
            for backend, entry in by_backend.items():
                if entry["status"] in KNOWN:
                    key = self.key(card, PROPERTIES[identity], backend, found["profile"])
                    if key:
                        entry["key"] = key


def _includes(card: Card, each: Property, larger: str, smaller: str) -> bool:
    """Whether one profile tries every sample of another, so the other cannot find anything new."""
    if (
        larger not in run.PROFILES or each.never
    ):  # a sample must refute it, and only the larger profile may try that one
        return False
    long, short = run.PROFILES[larger], run.PROFILES[smaller]
    with compat.undisturbed():
        had, asked = (run.looked_at(card, each, profile) for profile in (long, short))
    if long.brief:  # it stops early, so the order matters
        return short.brief and had[: len(asked)] == asked
    return set(asked) <= set(had)


def due(layer: str, id: str, turn: int) -> bool:
    """Whether a known result is in the quarter that is checked anyway. Four turns check every result once."""
    return (zlib.crc32(f"{layer} {id}".encode()) + turn) % QUARTERS == 0
