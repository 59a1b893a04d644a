"""What a layer costs beside what one would use instead: whole training steps, in alternating runs.

A machine that is shared drifts, so no time stands alone: the two are run in turn, each pair gives a
ratio, and the medians are reported.
"""

import datetime
import importlib
import os
import platform
import statistics
import time

import keras
import numpy as np
from rich.table import Table

from layerzoo.catalogue import catalogue
from layerzoo.cookbook.drawing import snake_case
from layerzoo.ops.arguments import positive_int
from layerzoo.testing.gradient import Slice


def measure(names: list[str], pairs: int) -> dict:
    """Measure layers beside their peers.

    Args:
        names: Layers of the catalogue that have a module in `cookbook.peers`.
        pairs: How many counted pairs of runs, after one that is not counted.

    Raises:
        ValueError: a layer has no peer, or `pairs` is not positive.
    """
    positive_int(pairs=pairs)
    return {
        "date": datetime.date.today().isoformat(),
        "machine": f"{os.cpu_count()} cores, {platform.machine()}",
        "versions": {"keras": keras.__version__, "python": platform.python_version()},
        "backend": keras.backend.backend(),
        "layers": {
            name: [_beside(peer_of(name), sizes, pairs) for sizes in peer_of(name).WORK]
            for name in names
        },
    }


def peer_of(name: str):
    """The module of what one would use instead of a layer.

    Raises:
        ValueError: there is none.
    """
    try:
        return importlib.import_module(f"layerzoo.cookbook.peers.{snake_case(name)}")
    except ModuleNotFoundError:
        raise ValueError(
            f"A layer is measured beside a module of `layerzoo.cookbook.peers`. Received: {name!r}, "
            f"without one; catalogued are {', '.join(catalogue())}"
        ) from None


def table(measured: dict) -> Table:
    """The results as a table."""
    found = Table("layer", "work", "instead", "ms", "ms instead", "ratio", box=None)
    for name, rows in measured["layers"].items():
        for row in rows:
            times = (f"{row['ms']:.1f}", f"{row['ms_instead']:.1f}", f"{row['ratio']:.2f}")
            found.add_row(name, row["work"], row["instead"], *times)
    return found


def _beside(peer, sizes, pairs) -> dict:
    ours, other = peer.layer(sizes), peer.instead(sizes)
    steps = [_training_step(layer, sizes) for layer in (ours, other)]
    for step in steps:
        step()
    times = np.array([[_seconds(step) for step in steps] for _ in range(pairs)])
    return {
        "work": ", ".join(f"{letter} {size}" for letter, size in sizes.items()),
        "layer": type(ours).__name__,
        "instead": peer.INSTEAD,
        "parameters": ours.count_params(),
        "parameters_instead": other.count_params(),
        "ms": 1e3 * statistics.median(times[:, 0]),
        "ms_instead": 1e3 * statistics.median(times[:, 1]),
        "ratio": statistics.median(times[:, 0] / times[:, 1]),
        "pairs": pairs,
    }


def _training_step(layer, sizes):
    """Forward and the gradient of inputs and weights, traced, in training."""
    x = np.random.default_rng(0).normal(size=tuple(sizes.values())).astype("float32")
    layer(x)
    return Slice(layer, {"inputs": x}, seed=0, training=True).training_step()


def _seconds(step) -> float:
    start = time.perf_counter()
    step()
    return time.perf_counter() - start
