"""What a layer costs compared with its alternative: whole training steps, in alternating runs.

The speed of a shared machine drifts, so a single time means little. The two run in turn, each pair of runs
gives a ratio, and the report has the medians.
"""

import datetime
import importlib.metadata
import importlib.util
import json
import multiprocessing
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import keras
import numpy as np
from rich.table import Table

from layerzoo.building.arguments import positive_int
from layerzoo.card import Peer
from layerzoo.catalogue import catalogue
from layerzoo.tensors.slice import Slice
from layerzoo_entry.usage import UsageError, users

BACKEND = keras.backend.backend()


def measure_on(backends: Sequence[str], names: list[str], pairs: int, long: bool = False) -> dict:
    """Measure on one backend after the other, each in its own process, and return all results by layer.

    Args:
        backends: The backends. Those that are not installed are left out; ask `missing` for them.
        names: As for `measure`.
        pairs: As for `measure`.
        long: As for `measure`.

    Raises:
        UsageError: as for `measure`.
        RuntimeError: the process of a backend ended without results.
    """
    _demand_measurable(names, pairs, long)
    found: dict = {}
    for backend in backends:
        if not missing(backend):
            for name, each in _elsewhere(backend, names, pairs, long).items():
                found[name] = merged(found.get(name), each)
    return found


def missing(package: str) -> bool:
    """Whether a backend or another package is not installed."""
    return importlib.util.find_spec(package) is None


def merged(old: dict | None, new: dict) -> dict:
    """The measurements of a layer, with those on some backends replaced by new ones."""
    if not old:
        return new
    kept = [row for row in old["rows"] if row["backend"] not in new["backends"]]
    return {"backends": old["backends"] | new["backends"], "rows": kept + new["rows"]}


def _elsewhere(backend, names, pairs, long) -> dict:
    """What `measure` returns on a backend, in a new process."""
    call = f"bench.measure({names!r}, {pairs!r}, {long!r})"
    lines = "import json; from layerzoo.cookbook import bench; "
    command = [sys.executable, "-W", "ignore", "-c", f"{lines}print(json.dumps({call}))"]
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3"}
    environment = {**quiet, **os.environ, "KERAS_BACKEND": backend}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        print(done.stderr, file=sys.stderr)
        raise RuntimeError(
            f"The measurement on {backend} must end with results; see above. "
            f"Received: exit code {done.returncode}"
        )
    return json.loads(done.stdout.splitlines()[-1])


def measure(names: list[str], pairs: int, long: bool = False) -> dict:
    """Measure layers and their peers on this process's backend, and return the results by layer.

    Each row is timed in its own process, one after the other. The peak memory of each side is measured in
    its own process too: of each long work, and otherwise of the last work of a layer.

    Args:
        names: Layers of the catalogue whose cards have a peer.
        pairs: How many pairs of runs count, after one that does not.
        long: Whether to do the peers' long work instead.

    Raises:
        UsageError: a layer has no peer, or no such work, or `pairs` is not positive.
    """
    _demand_measurable(names, pairs, long)
    rows = {name: range(len(works_of(name, long))) for name in names}
    with processes(1) as one:
        timed = {
            name: [one.submit(beside, name, i, pairs, long).result() for i in indices]
            for name, indices in rows.items()
        }
    # long work may need all the memory that there is
    with processes(1 if long else os.cpu_count() or 1) as several:
        for name, indices in rows.items():
            for i in indices if long else indices[-1:]:
                row = timed[name][i]
                row["peak_mb"] = several.submit(peak, name, i, long, "layer")
                if row["instead"]:
                    row["peak_mb_instead"] = several.submit(peak, name, i, long, "peer")
        for row in (row for of_name in timed.values() for row in of_name):
            for key in ("peak_mb", "peak_mb_instead"):
                row[key] = row[key].result() if key in row else None
    about = {
        "date": datetime.date.today().isoformat(),
        "machine": f"{_cores()} cores, {platform.machine()}",
        "versions": {
            "keras": keras.__version__,
            BACKEND: importlib.metadata.version(BACKEND),
            "python": platform.python_version(),
        },
    }
    return {
        name: {
            "backends": {BACKEND: about},
            "rows": [{"backend": BACKEND, **row} for row in of_name],
        }
        for name, of_name in timed.items()
    }


def _cores() -> int:
    """The number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _demand_measurable(names, pairs, long) -> None:
    with users(ValueError):
        positive_int(pairs=pairs)
    for name in names:
        works_of(name, long)


def processes(number: int) -> ProcessPoolExecutor:
    """A pool in which each call has a process of its own. Keras is already imported there."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    return ProcessPoolExecutor(number, context, max_tasks_per_child=1)


def works_of(name: str, long: bool = False) -> Sequence[Mapping[str, Any]]:
    """The workloads with which a layer is measured on this backend, as `Peer` describes them.

    Only TensorFlow's work can be compiled in addition: JAX's always is, and PyTorch's never. Work whose
    `instead` names a package that is not installed is left out.

    Raises:
        UsageError: the layer has no peer, or its peer has no long work.
    """
    peer = peer_of(name)
    if long and not peer.long:
        raise UsageError(f"The layer's peer must have `long` work. Received: {name!r}")
    works = peer.long if long else peer.work
    return [
        work
        for work in works
        if (BACKEND == "tensorflow" or not work.get("jit")) and _installed(work.get("instead", ""))
    ]


def _installed(instead) -> bool:
    """Whether a name such as `package.Layer` can be imported. Anything else is made of Keras's layers."""
    package = instead.partition(".")[0]
    return not package.isidentifier() or not missing(package)


def measurable(long: bool = False) -> list[str]:
    """The layers of the catalogue that have such work."""
    return [
        name for name, card in catalogue().items() if card.peer and (card.peer.long or not long)
    ]


def peer_of(name: str) -> Peer:
    """The alternative to a layer, with which it is compared.

    Raises:
        UsageError: its card names no peer.
    """
    peer = catalogue()[name].peer
    if peer is None:
        raise UsageError(
            f"A layer's card must name a `peer` to compare it with. Received: {name!r}"
        )
    return peer


def table(found: dict) -> Table:
    """The results as a table."""
    heads = (
        "layer",
        "backend",
        "work",
        "instead",
        "ms",
        "ms instead",
        "ratio",
        "peak MB",
        "instead",
        "share",
    )
    rows = Table(*heads, box=None)
    for name, measurement in found.items():
        for row in measurement["rows"]:
            cells = (row["ms"], row["ms_instead"], row["ratio"])
            memory = (row["peak_mb"], row["peak_mb_instead"], row["share"])
            form = (".1f", ".1f", ".2f", ".0f", ".0f", ".2f")
            texts = [f"{x:{f}}" if x else "" for x, f in zip((*cells, *memory), form, strict=True)]
            rows.add_row(name, row["backend"], row["work"], row["instead"], *texts)
    return rows


def peak(name: str, index: int, long: bool, side: str) -> float:
    """The peak memory of one step of one side in MB, beyond the earlier peak of this process.

    Run this in a new process, because an earlier peak hides what the step takes.
    """
    work = works_of(name, long)[index]
    step = _step_of(_layer(peer_of(name), side, work), work)
    before = _highest()
    step()
    return _highest() - before


def _highest() -> float:
    import resource

    unit = 2**20 if sys.platform == "darwin" else 2**10  # bytes there, kilobytes elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def beside(name: str, index: int, pairs: int, long: bool = False) -> dict:
    """One row: a layer and its peer with one workload, in alternating runs."""
    work = works_of(name, long)[index]
    peer = peer_of(name)
    sides = ["layer"] if work.get("alone") else ["layer", "peer"]
    layers = [_layer(peer, side, work) for side in sides]
    steps = [_step_of(layer, work) for layer in layers]
    product = _product()
    for step in (*steps, product):
        step()
    start = time.perf_counter()
    rounds: list[list[float]] = []
    while len(rounds) < min(pairs, 3) or (
        len(rounds) < pairs and time.perf_counter() - start < PATIENCE[long]
    ):
        product_took = _seconds(product)
        # what runs right after the large product is slower: the sides take turns at that
        order = list(enumerate(steps))[:: -1 if len(rounds) % 2 else 1]
        seconds = {i: _seconds(step) for i, step in order}
        rounds.append([*(seconds[i] for i in range(len(steps))), product_took])
    times = np.array(rounds)
    medians = np.median(times, axis=0)
    rate = PRODUCT / medians[-1]
    operations = peer.operations(**work) if peer.operations else None
    return {
        "work": ", ".join(f"{key} {value}" for key, value in work.items() if key != "instead"),
        "layer": type(layers[0]).__name__,
        "instead": work.get("instead", peer.instead) if len(layers) == 2 else "",
        "parameters": layers[0].count_params(),
        "parameters_instead": layers[1].count_params() if len(layers) == 2 else None,
        "ms": 1e3 * medians[0],
        "ms_instead": 1e3 * medians[1] if len(layers) == 2 else None,
        "ratio": statistics.median(times[:, 0] / times[:, 1]) if len(layers) == 2 else None,
        "pairs": len(rounds),
        "matrix_gflops": rate / 1e9,
        "share": operations / medians[0] / rate if operations else None,
    }


PATIENCE = {False: 3.0, True: 10.0}
"""After this many seconds, three pairs are enough: of ordinary work, and of long work."""

PRODUCT = 2 * 2048**3
"""The number of operations in the matrix product that measures the machine."""


def _product():
    """One large matrix product, as a step."""
    matrix = keras.ops.convert_to_tensor(np.ones((2048, 2048), "float32"))
    return lambda: float(keras.ops.matmul(matrix, matrix)[0, 0])


def _layer(peer, side, work):
    """The built layer of one side, `"layer"` or `"peer"`."""
    ours = {"jit", "alone"} if side == "peer" else {"jit", "alone", "instead"}
    settings = {key: value for key, value in work.items() if len(key) > 1 and key not in ours}
    layer = getattr(peer, side)(_sizes(work), **settings)
    layer.build(tuple(_sizes(work).values()))
    return layer


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
