"""Import Keras, or say in one line what is missing: its own error names neither cause nor cure."""

import importlib
import importlib.util
import os

BACKENDS = ("tensorflow", "jax", "torch")


def import_keras() -> None:
    """Import Keras.

    Raises:
        ImportError: the backend that Keras asks for is not installed. The message names the
            installed ones and the extra that brings the missing one.
    """
    try:
        importlib.import_module("keras")
    except ModuleNotFoundError as error:
        missing = (error.name or "").split(".")[0]  # it may be a module inside the backend
        if missing not in BACKENDS:
            raise
        raise ImportError(_explain(missing)) from None


def _explain(missing: str) -> str:
    installed = [name for name in BACKENDS if importlib.util.find_spec(name)]
    named = os.environ.get("KERAS_BACKEND")
    asked = f"KERAS_BACKEND={named}" if named else f"Keras's configuration (backend {missing!r})"
    advice = f'pip install "layerzoo[{missing}]"'
    if installed:
        advice += f", or set KERAS_BACKEND={installed[0]}"
    return (
        f"layerzoo needs the backend that Keras is told to use. {asked} needs {missing!r}, which is "
        f"not installed. Installed backends: {', '.join(installed) or 'none'}. To go on: {advice}."
    )
