"""`layerzoo new`: your own plug-in, copied from the one next to this file.

`plugin/` is a complete package named `my-layers`, so that a reader, the linter and the tests see what a
user will get. Copying it does not need Keras.
"""

import importlib.util
import keyword
import re
from pathlib import Path

from layerzoo_entry.usage import UsageError

TEMPLATE = Path(__file__).parent / "plugin"
FILES = (
    "pyproject.toml",
    "README.md",
    "my_layers/__init__.py",
    "my_layers/affine.py",
    "my_layers/cards/__init__.py",
    "my_layers/cards/affine.py",
    "tests/test_layers.py",
)


def new(name: str, out: Path | None = None) -> Path:
    """Write a plug-in package, and return its folder.

    Args:
        name: The name of the distribution, as in `my-layers`; the module is then `my_layers`.
        out: The folder to write. Default: a folder with that name in the working directory.

    Raises:
        UsageError: the name is not valid for a distribution or its module, or the folder is taken. Nothing
            is written then.
    """
    module = module_of(name)
    out = Path(name) if out is None else out
    if any(out.iterdir()) if out.is_dir() else out.exists():
        raise UsageError(
            f"The folder of a new plug-in must be new or empty. Received: {str(out)!r}"
        )
    names = {"my-layers": name, "my_layers": module}
    for file in FILES:
        text = (TEMPLATE / file).read_text(encoding="utf-8")
        target = out / file.replace("my_layers", module)
        target.parent.mkdir(parents=True, exist_ok=True)
        renamed = re.sub("my[-_]layers", lambda found: names[found[0]], text)
        target.write_text(renamed, encoding="utf-8")
    return out


def module_of(name: str) -> str:
    """The module of a new distribution, as in `my_layers` for `my-layers`.

    Raises:
        UsageError: the name is not valid for a distribution, or its module would have an invalid name or
            the name of an installed module.
    """
    if not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?", name):
        raise UsageError(
            "The name of a package must be letters, digits, `-`, `_` and `.`, with a letter or digit at "
            f"either end. Received: {name!r}"
        )
    module = re.sub(r"[-_.]+", "_", name).lower()
    if not module.isidentifier() or keyword.iskeyword(module):
        raise UsageError(
            "The name of a package must give a Python identifier that is not a keyword, when `-` and `.` "
            f"become `_`. Received: {name!r}, which gives {module!r}"
        )
    if module in ("tests", "docs") or importlib.util.find_spec(module) is not None:
        raise UsageError(
            "The name of a package must not give the name of an installed module, nor `tests` or `docs`, "
            f"which are folders next to it. Received: {name!r}, which gives {module!r}"
        )
    return module
