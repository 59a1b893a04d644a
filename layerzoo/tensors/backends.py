"""Other installed backends, each in its own process, which serves until this process ends."""

import atexit
import contextlib
import importlib
import os
import pickle
import re
import struct
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from typing import IO, Any

import keras
import numpy as np

from layerzoo.tensors import compat
from layerzoo.tensors.outcomes import NotApplicable
from layerzoo.tensors.slice import Slice
from layerzoo_entry.backends import BACKENDS

_workers: dict[str, tuple[subprocess.Popen, IO[bytes]]] = {}


def others() -> list[str]:
    """The installed backends other than the one in use."""
    return [name for name in BACKENDS if name != compat.BACKEND and find_spec(name) is not None]


def job(
    layer: keras.layers.Layer, config: dict, arrays: dict[str, np.ndarray], masks: Any, seed: int
) -> bytes:
    """A layer with its weights and inputs, in the form that `elsewhere` sends to other processes.

    Args:
        layer: The layer.
        config: The arguments that it was made with.
        arrays: The inputs by path.
        masks: Their masks, as arguments of the call.
        seed: The seed of the cotangents.

    Raises:
        NotApplicable: its class or its arguments cannot be sent to another process.
    """
    if type(layer).__module__ == "__main__":
        raise NotApplicable("the class is in `__main__`, which another process does not have")
    try:
        made = pickle.dumps((type(layer), config))
    except Exception as error:  # an argument can be anything
        raise NotApplicable(
            f"the arguments cannot be sent to another process: {type(error).__name__}: {error}"
        ) from None
    modules = sorted({type(inner).__module__ for inner in compat.sublayers(layer)})
    weights = [compat.array(w) for w in layer.get_weights()]
    return pickle.dumps((modules, made, weights, arrays, masks, seed))


def elsewhere(given: bytes) -> dict[str, dict[str, np.ndarray] | str]:
    """What each other backend computes for a job, or what the layer raised there.

    Raises:
        NotApplicable: the layer cannot be made in another process.
    """
    names = others()
    for name in names:  # all requests first, so that the processes work in parallel
        _send(_process(name)[0].stdin, given)
    answers = {name: _answer(name) for name in names}
    for name, (kind, value) in answers.items():
        if kind == "unknown":
            raise NotApplicable(f"the layer cannot be made in the process of {name}: {value}")
    return {name: value for name, (_, value) in answers.items()}


def observed(
    layer: keras.layers.Layer, arrays: dict[str, np.ndarray], masks: Any, seed: int
) -> dict[str, np.ndarray]:
    """A layer's outputs, their masks and its gradients at inference, by name."""
    carried = {path: compat.tensor(mask) for path, mask in masks.items()}
    tensors = {path: compat.tensor(a) for path, a in arrays.items()}
    with compat.kept_state(layer):
        outputs = keras.tree.flatten(compat.call(layer, tensors, carried, training=False))
    found = {f"output {i}": y for i, y in enumerate(compat.flat(outputs))}
    for i, y in enumerate(outputs):
        mask = compat.mask_of(y)
        found[f"the mask of output {i}"] = np.array("none") if mask is None else compat.array(mask)
    try:
        subject = Slice(layer, arrays, seed, carried=carried)
        gradients = subject.gradient(subject.leaves)
    except NotApplicable:  # no output or no leaf that can be differentiated
        return found
    for i, (name, gradient) in enumerate(zip(subject.names, gradients, strict=True)):
        name = re.sub("_[0-9]+(?=/|$)", "", name)  # Keras numbers names across a process
        found[f"the gradient of leaf {i}, {name}"] = gradient
    return found


def serve() -> None:
    """Answer jobs from standard input on standard output until it is closed."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not mix with the answers
    while given := _receive(requests):
        with compat.undisturbed():
            _send(answers, pickle.dumps(_served(given)))


def _served(given: bytes) -> tuple[str, object]:
    modules, made, weights, arrays, masks, seed = pickle.loads(given)
    try:
        for module in modules:
            importlib.import_module(module)
        cls, config = pickle.loads(made)
    except Exception as error:  # importing runs any code in the module
        return "unknown", f"{type(error).__name__}: {error}"
    try:
        layer = cls(**config)
        compat.call(layer, {path: a.copy() for path, a in arrays.items()})
        layer.set_weights(weights)
        return "found", observed(layer, arrays, masks, seed)
    except Exception as error:  # an error that is raised only here is a finding
        return "raised", f"{type(error).__name__}: {error}"


def _process(backend: str):
    if backend not in _workers:
        environment = {
            **os.environ,
            "KERAS_BACKEND": backend,
            "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path),
            # several processes share one device
            "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
            "TF_FORCE_GPU_ALLOW_GROWTH": "true",
        }
        said = tempfile.TemporaryFile()  # noqa: SIM115  it lives as long as the process
        process = subprocess.Popen(
            [sys.executable, "-c", "from layerzoo.tensors import backends; backends.serve()"],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=said,
        )
        _workers[backend] = process, said
    return _workers[backend]


def _answer(backend: str) -> tuple[str, Any]:
    process, said = _workers[backend]
    given = _receive(process.stdout)
    if given:
        return pickle.loads(given)
    process.wait()
    said.seek(0)
    lines = said.read().decode(errors="replace").strip().splitlines() or ["without output"]
    _end(backend)
    raise NotApplicable(f"the process of {backend} ended: {lines[-1]}")


def _send(stream, data: bytes) -> None:
    with contextlib.suppress(BrokenPipeError):  # it has ended; that shows when its answer is read
        stream.write(struct.pack("q", len(data)) + data)
        stream.flush()


def _receive(stream) -> bytes:
    head = stream.read(8)
    return stream.read(*struct.unpack("q", head)) if len(head) == 8 else b""


def _end(backend: str) -> None:
    process, said = _workers.pop(backend)
    for stream in filter(None, (process.stdin, process.stdout, said)):
        with contextlib.suppress(BrokenPipeError):  # data for a process that has ended
            stream.close()
    process.wait()


@atexit.register
def _end_all() -> None:
    for backend in list(_workers):
        _end(backend)
