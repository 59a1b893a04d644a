"""Import Keras, or say in one line what is missing. Keras's own error names neither cause nor fix."""

import importlib
import importlib.util
import os
import shlex
import sys
from pathlib import Path


def install(extra: str) -> str:
    """The command that adds an extra to this installation, from any folder.

    layerzoo is not on the Python Package Index. What runs from a checkout is therefore installed from there;
    of what is installed already, pip adds only what the extra needs.
    """
    checkout = Path(__file__).parents[1]
    if (checkout / "pyproject.toml").is_file():
        source = f"-e {shlex.quote(f'{checkout}[{extra}]')}"
    else:
        source = f'"layerzoo[{extra}]"'
    return f"{shlex.quote(sys.executable)} -m pip install {source}"


def import_keras() -> None:
    """Import Keras.

    Raises:
        NotInstalled: if the backend that Keras is configured to use is not installed. The message names
            the installed backends and the extra that installs the missing one.
    """
    try:
        importlib.import_module("keras")
    except ModuleNotFoundError as error:
        from layerzoo_entry.backends import BACKENDS  # of the command line, which nobody else needs
        from layerzoo_entry.usage import NotInstalled

        missing = (error.name or "").split(".")[0]  # the error may name a module inside the backend
        if missing not in BACKENDS:
            raise
        raise NotInstalled(_explain(missing, BACKENDS)) from None


def _explain(missing: str, backends: tuple[str, ...]) -> str:
    installed = [name for name in backends if importlib.util.find_spec(name)]
    named = os.environ.get("KERAS_BACKEND")
    asked = f"KERAS_BACKEND={named}" if named else f"Keras's configuration (backend {missing!r})"
    advice = install(missing)
    if installed:
        advice += f", or set KERAS_BACKEND={installed[0]}"
    return (
        f"layerzoo needs the backend that Keras is configured to use. {asked} needs {missing!r}, which "
        f"is not installed. Installed backends: {', '.join(installed) or 'none'}. To fix this: {advice}."
    )
