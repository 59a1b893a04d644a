"""Exports of a layer: the runtime of each format runs the file, which must compute what the layer does.

A wrong file is often written without an error, and is often wrong at some lengths only: PyTorch, for example,
traces an unknown size as 1. Each file is therefore run at several lengths, 1 among them.
"""

import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatch
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any

import keras
import numpy as np
from rich.table import Table

from layerzoo import foreign
from layerzoo._backend import install
from layerzoo.card import Card
from layerzoo.catalogue import catalogue
from layerzoo.tensors import compat
from layerzoo.testing.engine.case import Case
from layerzoo.testing.engine.comparison import Comparison, Fact, Tolerance, demand, metered
from layerzoo.testing.engine.samples import BUCKETS, deck, options
from layerzoo_entry.backends import BACKENDS
from layerzoo_entry.usage import UsageError

EXPORTS: dict[str, tuple[str, ...]] = {
    "tf_saved_model@tensorflow": ("tensorflow",),
    "onnx@tensorflow": ("tensorflow", "tf2onnx", "onnxruntime"),
    "litert@tensorflow": ("tensorflow", "ai_edge_litert"),
    "tf_saved_model@jax": ("jax", "tensorflow"),
    "onnx@torch": ("torch", "onnx", "onnxruntime"),
}
"""The exports, `format@backend` in Keras's words, and the modules that each needs."""

LENGTHS = (1, 9, 150, 12, 20)
"""One step; more than a block of 128; and lengths at which the last of 8 blocks are empty, short or full."""

BATCHES = (2, 3, 1, 2, 1)
"""The size of the batch at each length."""

WITHIN = Tolerance(1e-4, "float32, 1e-4 for each runtime's own order and approximations")

Sizes = dict[str, int | None]


def select(patterns: Sequence[str]) -> list[str]:
    """The exports that some patterns match, as in `onnx@*`; without a pattern, all of them.

    Raises:
        UsageError: a pattern matches none.
    """
    for pattern in patterns:
        if not any(fnmatch(export, pattern) for export in EXPORTS):
            raise UsageError(
                f"A pattern must match one of {', '.join(EXPORTS)}. Received: {pattern!r}"
            )
    return [x for x in EXPORTS if not patterns or any(fnmatch(x, each) for each in patterns)]


def verify(names: Sequence[str], exports: Sequence[str], turn: int | None = None) -> dict:
    """Export layers, run the files, and return what was found by the layer's name.

    Args:
        names: Layers of the catalogue.
        exports: Which exports, as in `EXPORTS`. Each backend runs in a process of its own.
        turn: If given, only a part is tried: each plain layer with free sizes, at three lengths, and for one
            of the exports one more config. The next turn takes another one.
    """
    found: dict[str, dict] = {name: {} for name in names}
    for backend in dict.fromkeys(_backend(export) for export in exports):
        here = [export for export in exports if _backend(export) == backend]
        missing = {export: _missing(export) for export in here}
        can = [export for export in here if not missing[export]]
        results = _elsewhere(backend, names, can, turn) if can else {}
        for name in names:
            for export in here:
                untried = {"free": {"status": "not_tried", "reason": missing[export]}}
                found[name][export] = untried if missing[export] else results[name][export]
    about = {"keras": keras.__version__, "versions": _versions(), "lengths": [*LENGTHS]}
    return {name: {**about, "results": results} for name, results in found.items()}


def merged(old: dict, new: dict) -> dict:
    """What was found of a layer, with what an older run of the same versions found of other exports."""
    if {**old, "results": {}} != {**new, "results": {}}:
        return new
    results = {**old["results"], **new["results"]}
    return {**new, "results": {export: results[export] for export in EXPORTS if export in results}}


def table(found: dict) -> Table:
    """The results as a table: the largest difference of the files that are right, or the status."""
    exports = list(dict.fromkeys(x for each in found.values() for x in each["results"]))
    rows = Table("layer", *exports, box=None)
    for name, each in found.items():
        cells = (list(each["results"].get(export, {}).values()) for export in exports)
        rows.add_row(name, *(_cell(kinds) for kinds in cells))
    return rows


def _cell(kinds) -> str:
    bad = [x["status"] for x in kinds if x["status"] != "right"]
    return bad[0].replace("_", " ") if bad else f"{max(x['difference'] for x in kinds):.1e}"


def faults(found: dict) -> list[str]:
    """A line for each export that is neither right nor fails as the card says."""
    return [
        f"{name}, {export}, {kind} sizes: {each['status'].replace('_', ' ')}: {each['reason']}"
        for name, of_layer in found.items()
        for export, kinds in of_layer["results"].items()
        for kind, each in kinds.items()
        if each["status"] not in ("right", "expected_failure")
    ]


def tried(names: Sequence[str], exports: Sequence[str], turn: int | None) -> dict[str, dict]:
    """The results of layers on the backend in use, by the layer's name and the export."""
    found = {}
    for name in names:
        start = time.perf_counter()
        found[name] = {each: result(catalogue()[name], each, turn) for each in exports}
        seconds = time.perf_counter() - start
        print(f"{name} on {keras.backend.backend()}: {seconds:.1f} s", file=sys.stderr)
    return found


def result(card: Card, export: str, turn: int | None = None) -> dict[str, dict]:
    """What becomes of an export of a layer with `free` and with `fixed` sizes; the batch is free in both.

    Each of the two has a `status`: `right`; `failed`; `expected_failure`, if only configs fail for which the
    card gives a reason; or `unexpected_pass`, if one of those does not fail.
    """
    jobs = [(place, *each) for place, each in enumerate(variants(card, export, turn))]
    free = [(place, case, masked) for place, case, masked in jobs if letters(case)]
    with compat.undisturbed():
        found = {"free": _judged(export, "free", free, turn)} if free else {}
        if turn is None or not free:
            found["fixed"] = _judged(export, "fixed", jobs, turn)
    return found


def _judged(export, kind, jobs, turn) -> dict[str, Any]:
    worst, lengths = 0.0, set()
    failed, passed, known, count = "", "", "", 0
    for place, case, masked in jobs:
        at = list(steps(case, kind, place))[: None if turn is None else 3]
        lengths |= {size for _, given in at for letter, size in given.items() if letter != "b"}
        what = f"{case.written or 'the plain layer'}{', with masks' if masked else ''}"
        reasons = case.card.failing_exports(case.config)
        reason = reasons.get(export) or reasons.get(f"{export}, {kind} sizes", "")
        try:
            with _quiet():
                worst = max(worst, foreign.contained(difference, case, export, masked, at))
        except Exception as error:  # an exporter, a runtime or a layer can raise anything
            count += 1
            known = known or reason
            said = re.sub(r"\S*/site-packages/", "", foreign.told(error))
            failed = failed or ("" if reason else f"{what}: {said}")
        else:
            passed = passed or (f"{what}: {reason}" if reason else "")
    status = "failed" if failed else "unexpected_pass" if passed else "expected_failure"
    found = {"status": status if failed or passed or known else "right", "exports": len(jobs)}
    found["masked"] = sum(masked for _, _, masked in jobs)
    found |= {"lengths": sorted(lengths), "difference": float(f"{worst:.2g}")}
    if found["status"] != "right":
        found |= {"failed": count, "reason": failed or passed or known}
    return found


def variants(card: Card, export: str, turn: int | None = None) -> list[tuple[Case, bool]]:
    """The configs in which a layer is exported, and whether with masks as further inputs.

    Together they take every option of the card. With a `turn` they are the plain one and perhaps another.
    """
    found = []
    for sample in deck(card, max([*options(card), len(BUCKETS)])):
        case = Case(card, sample)
        found += [(case, masked) for masked in ((False, True) if masks_of(case) else (False,))]
    if turn is None:
        return found
    rest, place = divmod(turn, len(EXPORTS))
    more = found[1:] if list(EXPORTS)[place] == export else []
    return [found[0], *([more[rest % len(more)]] if more else [])]


def masks_of(case: Case) -> dict[str, str]:
    """The arguments of `call` that take a mask, each with the input that it masks."""
    masking = case.traits.masking
    if masking is None:
        return {}
    masked = list(masking) if isinstance(masking, dict) else [case.first]
    named = {"mask" if path == case.first else f"{path}_mask": path for path in masked}
    return {name: path for name, path in named.items() if compat.takes(case.card.layer, name)}


def letters(case: Case) -> list[str]:
    """The axes other than the batch whose size may be unknown."""
    return [each for each in case.sizes if each in case.traits.dynamic.split() and each != "b"]


def steps(case: Case, kind: str, place: int) -> Iterator[tuple[Sizes, dict[str, int]]]:
    """The sizes that a file is made for, None where they are free, and those that it is run at.

    Sizes of several axes differ. A file with `fixed` sizes has one length; `place` says which: 1, 150, ...
    """
    batch = "b" in case.traits.dynamic.split()
    for i, b in enumerate(BATCHES):
        k = i if kind == "free" else 2 * place
        known = {x: LENGTHS[(k + j) % len(LENGTHS)] for j, x in enumerate(letters(case))}
        made: Sizes = dict.fromkeys(known) if kind == "free" else {**known}
        yield ({**made, "b": None}, {**known, "b": b}) if batch else (made, known)


def difference(
    case: Case, export: str, masked: bool, at: Sequence[tuple[Sizes, dict[str, int]]]
) -> float:
    """The largest difference between a file and the layer, as a share of the largest output, or of 1.

    Raises:
        Violation: it is larger than the tolerance, or another shape comes out.
    """
    layer = case.built()
    masks = masks_of(case) if masked else {}
    ending, runtime = FORMATS[export.partition("@")[0]]
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        path = f"model{ending}"  # without a folder, because messages have it
        run = runtime(path, *_export(case, layer, masks, at[0][0], export, path))
        with metered() as shares:
            for salt, (_, sizes) in enumerate(at):
                arrays = case.arrays(salt, "normal", **sizes)
                seen = _masks(arrays, masks, salt)
                expected = case.run(layer, arrays, **seen)
                found = run([*arrays.values(), *seen.values()])
                demand(
                    Fact(len(found) == len(expected), f"{len(found)} outputs of {len(expected)}")
                )
                for a, e in zip(found, expected, strict=True):
                    demand(Comparison(a, e, WITHIN, f"at {sizes} the file and the layer"))
    return max(shares) * WITHIN.relative


def _export(case, layer, masks, sizes, export, path) -> list[str]:
    """Export a model of the layer to a file, and return the names of its inputs, with the masks last."""
    axes = {path: tensor.letters for path, tensor in case.tensors.items()}
    axes |= {argument: axes[path][:2] for argument, path in masks.items()}
    known = {**case.sizes, **sizes}
    inputs = {
        name: keras.Input(
            batch_shape=[known[letter] for letter in of_input],
            dtype="bool" if name in masks else case.tensors[name].dtype,
            name=name.replace(".", "_"),
        )
        for name, of_input in axes.items()
    }
    given = {argument: inputs[argument] for argument in masks}
    outputs = compat.call(layer, {path: inputs[path] for path in case.tensors}, **given)
    model = keras.Model(list(inputs.values()), outputs)
    how: dict[str, Any] = {}
    if _backend(export) == "jax":  # which must be told that equal letters are equal sizes
        shapes = [[known[x] or x for x in of_input] for of_input in axes.values()]
        named = [f"({', '.join(map(str, shape))})" for shape in shapes]
        how["jax2tf_kwargs"] = {"polymorphic_shapes": [named]}
    signature = [keras.InputSpec(x.dtype, x.shape, name=x.name) for x in model.inputs]
    form = export.partition("@")[0]
    model.export(path, format=form, input_signature=[signature], verbose=False, **how)
    return [x.name for x in model.inputs]


def _masks(arrays, masks, seed) -> dict[str, np.ndarray]:
    """Masks that are false at any three steps of ten, so that some mask all of a short sequence."""
    rng = np.random.default_rng(seed)
    return {name: rng.random(arrays[path].shape[:2]) < 0.7 for name, path in masks.items()}


Run = Callable[[list[np.ndarray]], list[np.ndarray]]
"""Runs a file on its inputs, and returns its outputs."""


def _saved_model(path: str, *names: str) -> Run:
    import tensorflow as tf

    program = tf.saved_model.load(path)

    def run(inputs):
        outputs = program.serve([tf.constant(x) for x in inputs])
        return [y.numpy() for y in keras.tree.flatten(outputs)]

    return run


def _onnx(path: str, *names: str) -> Run:
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    used = [x.name for x in session.get_inputs()]  # an input without effect may be left out

    def run(inputs):
        given = dict(zip(names, inputs, strict=True))
        return session.run(None, {name: given[name] for name in used})

    return run


def _litert(path: str, *names: str) -> Run:
    from ai_edge_litert.interpreter import Interpreter

    runner = Interpreter(path).get_signature_runner()

    def run(inputs):
        outputs = runner(**dict(zip(names, inputs, strict=True)))
        return [outputs[name] for name in sorted(outputs, key=lambda name: (len(name), name))]

    return run


FORMATS: dict[str, tuple[str, Callable[..., Run]]] = {
    "tf_saved_model": ("", _saved_model),
    "onnx": (".onnx", _onnx),
    "litert": (".tflite", _litert),
}
"""The ending of each format's files, and what runs them, given the path and the names of the inputs."""


def _backend(export: str) -> str:
    return export.partition("@")[2]


def _missing(export: str) -> str:
    """What an export needs that is not installed, and how to install it; empty if nothing is."""
    missing = [module for module in EXPORTS[export] if find_spec(module) is None]
    extras = [x if x in BACKENDS else "export" for x in missing]
    how = install(",".join(dict.fromkeys(extras)))
    return f"it needs {' and '.join(missing)}: {how}" if missing else ""


def _versions() -> dict[str, str]:
    found = {}
    packages = "tensorflow jax torch tf2onnx onnx onnxruntime ai-edge-litert"
    for package in packages.split():
        with contextlib.suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Hide warnings and all that is printed, also from C++. Exporters say much about themselves."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    kept = {number: os.dup(number) for number in (1, 2)}
    with warnings.catch_warnings(), open(os.devnull, "w") as nowhere:
        warnings.simplefilter("ignore")
        for number in kept:
            os.dup2(nowhere.fileno(), number)
        try:
            with contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
                yield
        finally:
            for number, copy in kept.items():
                os.dup2(copy, number)
                os.close(copy)


def _elsewhere(backend, names, exports, turn) -> dict[str, dict]:
    """What `tried` returns in a new process with a backend."""
    call = f"json.dumps(exporting.tried({list(names)!r}, {exports!r}, {turn!r}))"
    done = subprocess.run(
        [
            *(sys.executable, "-W", "ignore", "-c"),
            f"import json; from layerzoo.cookbook import exporting; print({call})",
        ],
        env={**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "2"},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(
            f"The exports on {backend} must end with their results; see above. "
            f"Received: exit code {done.returncode}"
        )
    return json.loads(done.stdout.splitlines()[-1])
