"""The backends of Keras. This needs neither Keras nor a backend."""

from collections.abc import Sequence

NAMES = {"tensorflow": "TensorFlow", "jax": "JAX", "torch": "PyTorch"}
"""How each backend is written in a sentence, by the name of its package."""

BACKENDS = tuple(NAMES)

CHOICES = (*BACKENDS, "all")
"""What an option `--backend` accepts where several backends may run."""


def wanted(asked: Sequence[str]) -> tuple[str, ...]:
    """The backends that such options ask for, each once."""
    return BACKENDS if "all" in asked else tuple(dict.fromkeys(asked))
