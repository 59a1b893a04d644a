"""A layer as one file that needs only Keras: the recipe with every part that it imports."""

import ast
import functools
import importlib
import inspect
import keyword
import re
import sys
from importlib.metadata import PackageNotFoundError, metadata, packages_distributions

from layerzoo.catalogue import Card
from layerzoo_entry.usage import UsageError


def eject(card: Card, package: str = "my_layers") -> str:
    """The source of one file with the layer and everything that it imports from its own package or layerzoo.

    The parts are copied as they are written. Each part comes after what it needs, and the layer comes last.
    Examples in docstrings are left out, because they use layers that are not in the file.

    Args:
        card: The card of the layer.
        package: The name under which Keras registers the classes.

    Raises:
        UsageError: `package` is not an identifier, or two parts from different files have the same name.
    """
    if not package.isidentifier() or keyword.iskeyword(package):
        raise UsageError(
            "`package` must be a Python identifier, because it is part of the names of saved classes. "
            f"Received: package={package!r}"
        )
    root = card.layer.__module__.split(".")[0]
    imports: set[tuple[str, str]] = set()
    parts: dict[str, tuple[str, str]] = {}
    _collect(card.layer.__module__, card.name, {root, "layerzoo"}, imports, parts)
    body = "\n\n\n".join(text for _, text in parts.values())
    gap = (
        "\n" if body.startswith(("class", "def", "@")) else ""
    )  # only one empty line before a constant
    for inlined in (root, "layerzoo"):
        body = re.sub(rf"\b{inlined}\b", package, body)
    return f"{_header(card, root)}\n{_import_lines(imports)}\n\n{gap}{body}\n"


def _header(card, root):
    try:
        about = metadata(_distribution(root)).json
    except PackageNotFoundError:  # a folder on the path that was never installed
        return f"# {card.name}, copied from {root}.\n# This file needs only Keras.\n"
    licence = about.get("license_expression") or about.get("license") or "see its package"
    return (
        f"# {card.name}, copied from {about['name']} {about['version']}.\n"
        f"# Licence: {licence}. This file needs only Keras and is yours to change.\n"
    )


@functools.cache
def _distribution(package):
    """The distribution that installs a package; cached, because it reads every distribution's files."""
    return packages_distributions().get(package, [package])[0]


def _collect(module, name, inlined, imports, parts):
    """Put the definition of a module's `name` into `parts`, after everything that it uses."""
    for node in _tree(importlib.import_module(module)).body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            for alias in node.names:
                if (alias.asname or alias.name.split(".")[0]) == name:
                    _import(node, alias, inlined, imports, parts)
                    return
        elif name in _defined(node):
            if parts.get(name, (module,))[0] != module:
                raise UsageError(
                    "The parts of an ejected layer must have different names. "
                    f"Received: {name} of {parts[name][0]} and {name} of {module}"
                )
            if name in parts:
                return
            parts[name] = module, ""  # in case the part uses itself
            used = {inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name)}
            for other in sorted(used - {name}):
                _collect(module, other, inlined, imports, parts)
            del parts[name]
            parts[name] = module, _segment(module, node)
            return


def _import(node, alias, inlined, imports, parts):
    source = getattr(node, "module", "")  # "" for `import x`; no relative imports here
    if (source or alias.name).split(".")[0] not in inlined:
        imports.add((source, ast.unparse(alias)))
    elif source and alias.asname is None:
        _collect(source, alias.name, inlined, imports, parts)
    else:
        raise UsageError(
            "A recipe must import its parts by name, as in `from package.module import part`. "
            f"Received: {ast.unparse(node)}"
        )


@functools.cache
def _tree(module):
    return ast.parse(inspect.getsource(module))


def _defined(node):
    """The names that a top-level statement of a module defines."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return [node.name]
    targets = getattr(node, "targets", [getattr(node, "target", None)])
    return [target.id for target in targets if isinstance(target, ast.Name)]


def _segment(module, node):
    """The source of a statement with its decorators, without the example in its docstring."""
    lines = inspect.getsource(importlib.import_module(module)).splitlines()
    first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))])
    text = "\n".join(lines[first - 1 : node.end_lineno])
    return re.sub(r"\n    Example:\n(?:\n|        .*\n)*", "\n", text)


def _import_lines(imports):
    """Import statements as isort would write them: the standard library first, then the rest."""
    blocks = []
    for standard in (True, False):
        chosen = [
            (source, name)
            for source, name in imports
            if ((source or name).split(".")[0] in sys.stdlib_module_names) is standard
        ]
        plain = sorted(f"import {name}" for source, name in chosen if not source)
        named = [
            f"from {source} import {', '.join(sorted(names, key=_isort))}"
            for source in sorted({source for source, _ in chosen if source})
            if (names := [name for other, name in chosen if other == source])
        ]
        blocks.append("\n".join([*plain, *named]))
    return "\n\n".join(filter(None, blocks))


def _isort(name):
    """A sort key: constants, then classes, then the rest, each in alphabetical order."""
    return not name.isupper(), not name[:1].isupper(), name
