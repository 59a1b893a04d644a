"""What a layer costs compared with its alternative: whole training steps, in alternating runs.

The speed of a shared machine drifts, so a single time means little. The two run in turn, each pair of runs
gives a ratio, and the report has the medians.
"""

import datetime
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from rich.table import Table

from layerzoo.building.arguments import positive_int
from layerzoo.card import Peer
from layerzoo.catalogue import catalogue
from layerzoo.testing.gradient import Slice


def measure(names: list[str], pairs: int, long: bool = False) -> dict:
    """Measure layers and their peers, and return the results by the layer's name.

    Args:
        names: Layers of the catalogue whose cards have a peer.
        pairs: How many pairs of runs count, after one that does not.
        long: Whether to do the peers' long work instead, and also to measure the peak memory of each side
            in its own process.

    Raises:
        ValueError: a layer has no peer, or no such work, or `pairs` is not positive.
    """
    positive_int(pairs=pairs)
    works = {name: works_of(name, long) for name in names}
    about = {
        "date": datetime.date.today().isoformat(),
        "machine": f"{os.cpu_count()} cores, {platform.machine()}",
        "versions": {"keras": keras.__version__, "python": platform.python_version()},
        "backend": keras.backend.backend(),
    }
    row = _large if long else beside
    return {
        name: {**about, "rows": [row(name, i, pairs) for i in range(len(of_name))]}
        for name, of_name in works.items()
    }


def works_of(name: str, long: bool = False) -> Sequence[Mapping[str, Any]]:
    """The workloads with which a layer is measured, as `Peer` describes them.

    Raises:
        ValueError: the layer has no peer, or its peer has no long work.
    """
    peer = peer_of(name)
    if long and not peer.long:
        raise ValueError(f"The layer's peer must have `long` work. Received: {name!r}")
    return peer.long if long else peer.work


def peer_of(name: str) -> Peer:
    """The alternative to a layer, with which it is compared.

    Raises:
        ValueError: its card names no peer.
    """
    peer = catalogue()[name].peer
    if peer is None:
        raise ValueError(
            f"A layer's card must name a `peer` to compare it with. Received: {name!r}"
        )
    return peer


def table(found: dict) -> Table:
    """The results as a table."""
    heads = ("layer", "work", "instead", "ms", "ms instead", "ratio", "peak MB", "instead", "share")
    rows = Table(*heads, box=None)
    for name, measurement in found.items():
        for row in measurement["rows"]:
            cells = (row["ms"], row["ms_instead"], row["ratio"])
            memory = (row.get("peak_mb"), row.get("peak_mb_instead"), row["share"])
            form = (".1f", ".1f", ".2f", ".0f", ".0f", ".2f")
            texts = [f"{x:{f}}" if x else "" for x, f in zip((*cells, *memory), form, strict=True)]
            rows.add_row(name, row["work"], row["instead"], *texts)
    return rows


def peak(name: str, index: int, long: bool, side: str) -> float:
    """The peak memory of one step of one side in MB, beyond the earlier peak of this process.

    Run this in a new process, because an earlier peak hides what the step takes.
    """
    work = works_of(name, long)[index]
    step = _step(getattr(peer_of(name), side), work)
    before = _highest()
    step()
    return _highest() - before


def _highest() -> float:
    import resource

    unit = 2**20 if sys.platform == "darwin" else 2**10  # bytes there, kilobytes elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def _large(name, index, pairs) -> dict:
    """A row of large work, with the peak memory of each side, each measured in a new process."""
    row = elsewhere("beside", name, index, pairs, True)
    row["peak_mb"] = elsewhere("peak", name, index, True, "layer")
    row["peak_mb_instead"] = (
        elsewhere("peak", name, index, True, "peer") if row["instead"] else None
    )
    return row


def elsewhere(function: str, *arguments):
    """What a function of this module returns in a new process."""
    call = f"json.dumps(bench.{function}{arguments!r})"
    command = [sys.executable, "-W", "ignore", "-c"]
    command += [f"import json; from layerzoo.cookbook import bench; print({call})"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def beside(name: str, index: int, pairs: int, long: bool = False) -> dict:
    """One row: a layer and its peer with one workload, in alternating runs."""
    work = works_of(name, long)[index]
    peer = peer_of(name)
    sides = ["layer"] if work.get("alone") else ["layer", "peer"]
    layers = [_layer(getattr(peer, side), work) for side in sides]
    steps = [_step_of(layer, work) for layer in layers]
    product = _product()
    for step in (*steps, product):
        step()
    start = time.perf_counter()
    rounds: list[list[float]] = []
    while len(rounds) < min(pairs, 3) or (
        len(rounds) < pairs and time.perf_counter() - start < PATIENCE
    ):
        rounds.append([_seconds(step) for step in (*steps, product)])
    times = np.array(rounds)
    medians = np.median(times, axis=0)
    rate = PRODUCT / medians[-1]
    operations = peer.operations(**work) if peer.operations else None
    return {
        "work": ", ".join(f"{letter} {size}" for letter, size in work.items()),
        "layer": type(layers[0]).__name__,
        "instead": peer.instead if len(layers) == 2 else "",
        "parameters": layers[0].count_params(),
        "parameters_instead": layers[1].count_params() if len(layers) == 2 else None,
        "ms": 1e3 * medians[0],
        "ms_instead": 1e3 * medians[1] if len(layers) == 2 else None,
        "ratio": statistics.median(times[:, 0] / times[:, 1]) if len(layers) == 2 else None,
        "pairs": len(rounds),
        "matrix_gflops": rate / 1e9,
        "share": operations / medians[0] / rate if operations else None,
    }


PATIENCE = 30.0
"""After this many seconds, three pairs are enough."""

PRODUCT = 2 * 2048**3
"""The number of operations in the matrix product that measures the machine."""


def _product():
    """One large matrix product, as a step."""
    matrix = keras.ops.convert_to_tensor(np.ones((2048, 2048), "float32"))
    return lambda: float(keras.ops.matmul(matrix, matrix)[0, 0])


def _layer(make, work):
    """The built layer of one side."""
    settings = {k: v for k, v in work.items() if len(k) > 1 and k not in ("jit", "alone")}
    layer = make(_sizes(work), **settings)
    layer.build(tuple(_sizes(work).values()))
    return layer


def _step(make, work):
    return _step_of(_layer(make, work), work)


def _step_of(layer, work):
    """A traced training step: forward, and the gradient of inputs and weights."""
    x = np.random.default_rng(0).normal(size=tuple(_sizes(work).values())).astype("float32")
    subject = Slice(layer, {"inputs": x}, seed=0, training=True)
    return subject.training_step(jit=work.get("jit", False))


def _sizes(work):
    """The sizes of the axes, which are named by single letters."""
    return {letter: size for letter, size in work.items() if len(letter) == 1}


def _seconds(step) -> float:
    start = time.perf_counter()
    step()
    return time.perf_counter() - start
