"""How the kit saves time, mostly on JAX, which compiles every operation for every shape.

A user's program is compiled as usual: nothing here outlasts a check, and no environment variable changes.
"""

import contextlib
import functools
import inspect
import os
import sys
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np

OPTION = "xla_cpu_use_fusion_emitters"
"""Without this option, XLA compiles a small program for a CPU in a third of the time."""


@contextlib.contextmanager
def optimized(wanted: bool) -> Iterator[None]:
    """Set whether JAX optimizes what it compiles, which costs more than it saves for a few small calls.

    If `wanted`, everything is compiled as in a user's program.
    """
    if keras.backend.backend() != "jax":
        yield
        return
    import jax
    from jax._src import compiler

    name = "jax_disable_most_optimizations"
    before, options_before = jax.config.read(name), compiler.get_compile_options
    jax.config.update(name, not wanted)
    plain = inspect.unwrap(options_before)
    compiler.get_compile_options = plain if wanted else _with_options(plain, _quick_options())
    try:
        yield
    finally:
        jax.config.update(name, before)
        compiler.get_compile_options = options_before


@functools.cache
def _quick_options() -> dict[str, bool]:
    """Options for XLA without optimization; none on other devices, or if the user has set them."""
    import jax

    if jax.default_backend() != "cpu" or OPTION in os.environ.get("XLA_FLAGS", ""):
        return {}
    try:
        jax.jit(jax.numpy.sign, compiler_options={OPTION: False})(0.0)
    except jax.errors.JaxRuntimeError:  # this XLA does not have the option
        return {}
    return {OPTION: False}


def _with_options(get_compile_options: Callable, options: dict) -> Callable:
    """JAX's function with other defaults, because JAX only takes options for a single `jax.jit`."""

    @functools.wraps(get_compile_options)
    def wrapped(*args, env_options_overrides=None, **kwargs):
        overrides = {**options, **(env_options_overrides or {})}
        return get_compile_options(*args, env_options_overrides=overrides, **kwargs)

    return wrapped


@contextlib.contextmanager
def swapped(module: Any, name: str, other: Callable) -> Iterator[None]:
    """Replace `name` in a module by `other` of its value for a while; does nothing if it is missing."""
    missing = object()
    before = getattr(module, name, missing)
    if before is missing:
        yield
        return
    setattr(module, name, other(before))
    try:
        yield
    finally:
        setattr(module, name, before)


def drawing(random: Any) -> SimpleNamespace:
    """`keras.random` for initializers, with NumPy drawing the numbers.

    An initializer still chooses the distribution and the seed, and does the rest of its computation itself.
    """
    draws = {name: _drawn(getattr(random, name), draw) for name, draw in DRAWS.items()}
    return SimpleNamespace(**{**vars(random), **draws})


def filling(ops: Any) -> SimpleNamespace:
    """`keras.ops`, but with zeros and ones from NumPy."""
    fills = {name: _filled(getattr(ops, name), fill) for name, fill in FILLS.items()}
    return SimpleNamespace(**{**vars(ops), **fills})


def _truncated_normal(generator, shape, mean=0.0, stddev=1.0) -> np.ndarray:
    x = generator.standard_normal(shape)
    while np.any(far := np.abs(x) > 2):
        x = np.where(far, generator.standard_normal(shape), x)
    return mean + stddev * x


DRAWS: dict[str, Callable] = {
    "normal": lambda generator, shape, mean=0.0, stddev=1.0: (
        mean + stddev * generator.standard_normal(shape)
    ),
    "truncated_normal": _truncated_normal,
    "uniform": lambda generator, shape, minval=0.0, maxval=1.0: (
        minval + (maxval - minval) * generator.random(shape)
    ),
}
"""NumPy versions of the functions of `keras.random` that initializers use."""

FILLS: dict[str, Callable] = {"zeros": np.zeros, "ones": np.ones}


def _drawn(original: Callable, draw: Callable) -> Callable:
    """A function of `keras.random` that uses NumPy if seed, dtype and parameters are plain."""

    def drawn(shape, dtype=None, seed=None, **how):
        plain = isinstance(seed, int) and all(isinstance(x, int | float) for x in how.values())
        if not plain or not _known(dtype):
            return original(shape, dtype=dtype, seed=seed, **how)
        return _placed(draw(np.random.default_rng(seed % 2**32), shape, **how), dtype)

    return drawn


def _filled(original: Callable, fill: Callable) -> Callable:
    """`keras.ops.zeros` or `ones` that uses NumPy."""

    def filled(shape, dtype=None):
        return _placed(fill(shape), dtype) if _known(dtype) else original(shape, dtype=dtype)

    return filled


def _known(dtype) -> bool:
    return keras.backend.standardize_dtype(dtype) in ("bfloat16", "float16", "float32", "float64")


def _placed(x, dtype):
    import jax

    dtype = keras.backend.standardize_dtype(dtype)
    return jax.device_put(np.asarray(x).astype(jax.numpy.dtype(dtype)))


class IfImported:
    """A lazy module of Keras that counts as available only after something has imported it."""

    def __init__(self, module):
        self._module = module

    @property
    def available(self) -> bool:
        """Whether it has been imported; the same attribute of Keras's lazy module would import it."""
        return self._module.name in sys.modules and self._module.available

    def __getattr__(self, name):
        return getattr(self._module, name)
