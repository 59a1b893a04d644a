"""Run the kit over every card of `hunting.keras_layers` and record the results.

    python -m hunting.run --backend all

Results are merged into `measured/hunting/keras`, one file for each layer, so that a part can be run again:
`--layers` and `--properties` take shell patterns. Each backend has its own process. Afterwards
`python -m hunting.page` rewrites `docs/hunting.md`. With `--library keras_hub` the cards are those of
`hunting.keras_hub_layers`, and the results go to `measured/hunting/keras_hub`.
"""

import argparse
import gc
import importlib
import os
import re
import subprocess
import sys
import time
from dataclasses import replace
from fnmatch import fnmatchcase
from importlib.metadata import version
from pathlib import Path

from hunting.results import FOUND, write
from layerzoo_entry.backends import CHOICES, wanted


def main(arguments=None) -> None:
    """Check on the selected backends, one after another."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--backend", nargs="+", default=["all"], choices=CHOICES)
    parser.add_argument("--profile", default="proof")
    parser.add_argument("--layers", nargs="+", default=["*"])
    parser.add_argument("--properties", nargs="+", default=[])
    parser.add_argument("--library", default="keras", choices=list(FOUND))
    parser.add_argument("--out", type=Path, help="folder for the results, one file for each layer")
    parser.add_argument("--simplify", action="store_true", help="look for the simplest samples")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--first", default="", help=argparse.SUPPRESS)
    parser.add_argument("--died", nargs="+", default=[], help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    options.out = options.out or FOUND[options.library]
    if options.here:
        _check(options)
        return
    for backend in wanted(options.backend):
        _check_elsewhere(backend, options, arguments if arguments is not None else sys.argv[1:])


def _check_elsewhere(backend, options, arguments) -> None:
    """Check in another process; if a check crashes it, continue with the next check."""
    environment = {**os.environ, "KERAS_BACKEND": backend}
    command = [sys.executable, "-W", "ignore", "-m", "hunting.run", *arguments, "--here"]
    died: list[str] = []
    first = ""
    while True:
        code = subprocess.run([*command, "--first", first, "--died", "-", *died], env=environment)
        if code.returncode >= 0:
            code.check_returncode()
            return
        first, id = _progress(options.out).read_text(encoding="utf-8").split()
        died.append(f"{first}:{id}")
        message = f"{first}  {id}  FAILED\n\n  the process died from signal {-code.returncode}"
        write(
            options.out,
            {
                "results": {first: {id: {backend: "failed"}}},
                "failures": {first: {id: {backend: ["", message]}}},
            },
        )


def _progress(out: Path) -> Path:
    """The file that names the check in progress, so that a crash shows which check it was."""
    return out.with_name(f"{out.name}.progress")


def _check(options) -> None:
    import keras

    from layerzoo.testing.engine.register import select
    from layerzoo.testing.engine.run import check_property

    module = importlib.import_module(f"hunting.{options.library}_layers")
    targets = {card.name: (card, f"{module.__name__}:CARDS:{card.name}") for card in module.CARDS}
    for label, name in getattr(module, "VARIANTS", {}).items():
        targets[label] = getattr(module, name), f"{module.__name__}:{name}"
    unasked = getattr(module, "UNASKED", {})
    backend = keras.backend.backend()
    demanded = select(*options.properties)
    found = {
        "keras": keras.__version__,
        "profile": options.profile,
        "library": {options.library: version(options.library)},
        "backends": {backend: version(backend)},
        "properties": {
            each.id: {"name": each.name, "tier": each.tier, "statement": each.statement}
            for each in select()
            if "." not in each.id
        },
        "results": {},
        "failures": {},
        "seconds": {},
    }
    labels = list(targets)
    for label in labels[labels.index(options.first) if options.first else 0 :]:
        card, target = targets[label]
        if not any(fnmatchcase(label, pattern) for pattern in options.layers):
            continue
        start = time.perf_counter()
        results = found["results"][label] = {}
        found["failures"][label] = {}
        for each in demanded:
            if "." in each.id or each.id in unasked.get(label, {}):
                continue  # from a plug-in, or not for this layer
            deaths = [died for died in options.died if died.startswith(f"{label}:")]
            if f"{label}:{each.id}" in deaths or len(deaths) == 2:
                continue  # a third would crash too, and each costs a new process
            _progress(options.out).write_text(f"{label} {each.id}", encoding="utf-8")
            result = check_property(card, each, options.profile, target, options.simplify)
            results[each.id] = {backend: result.status}
            failure = None
            if not result.ok:
                failure = [result.token, _shortened(result)]
            found["failures"][label][each.id] = {backend: failure}
        seconds = time.perf_counter() - start
        found["seconds"][label] = {backend: round(seconds, 1)}
        bad = [id for id, by in results.items() if by[backend] not in ("passed", "not_applicable")]
        print(f"{backend} {label}: {seconds:.1f} s {' '.join(bad)}", flush=True)
        write(options.out, found)
        keras.backend.clear_session()
        gc.collect()
    _progress(options.out).unlink(missing_ok=True)


def _shortened(result) -> str:
    """The message of a result without paths, hint and program; the finding has a program of its own."""
    detail = result.message
    if result.failure:
        detail = str(replace(result.failure, hint="", program="", no_program="", command=""))
    return re.sub(r"/\S*/(?=keras/|tensorflow/|torch/|jax/|layerzoo/|hunting/)", "", detail)


if __name__ == "__main__":
    main()
