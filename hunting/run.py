"""Run the kit over every card of `hunting.keras_layers` and write down what it finds.

    python -m hunting.run --backend all --profile smoke

Results are merged into `docs/assets/hunting.json`, so that a part can be run again: `--layers` and
`--properties` take shell patterns. Each backend has a process of its own. Then `python -m hunting.page`
writes `docs/hunting.md` anew. With `--library keras_hub` the cards are those of
`hunting.keras_hub_layers`, and the results go to `docs/assets/hunting_keras_hub.json`.
"""

import argparse
import gc
import importlib
import json
import os
import subprocess
import sys
import time
from fnmatch import fnmatchcase
from importlib.metadata import version
from pathlib import Path

BACKENDS = ("tensorflow", "jax", "torch")
ASSETS = Path(__file__).parents[1] / "docs" / "assets"
FOUND = {
    "keras": ASSETS / "hunting.json",
    "keras_hub": ASSETS / "hunting_keras_hub.json",
}


def main(arguments=None) -> None:
    """Check on the backends asked for, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--backend", nargs="+", default=["all"], choices=[*BACKENDS, "all"])
    parser.add_argument("--profile", default="smoke")
    parser.add_argument("--layers", nargs="+", default=["*"])
    parser.add_argument("--properties", nargs="+", default=[])
    parser.add_argument("--library", default="keras", choices=list(FOUND))
    parser.add_argument("--out", type=Path)
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    options.out = options.out or FOUND[options.library]
    if options.here:
        _check(options)
        return
    for backend in BACKENDS if "all" in options.backend else options.backend:
        environment = {**os.environ, "KERAS_BACKEND": backend}
        again = arguments if arguments is not None else sys.argv[1:]
        command = [sys.executable, "-W", "ignore", "-m", "hunting.run", *again, "--here"]
        subprocess.run(command, env=environment, check=True)


def _check(options) -> None:
    import keras

    from layerzoo.testing.properties import select
    from layerzoo.testing.run import check_property

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
        "seconds": {backend: {}},
    }
    for label, (card, target) in targets.items():
        if not any(fnmatchcase(label, pattern) for pattern in options.layers):
            continue
        start = time.perf_counter()
        results = found["results"][label] = {}
        found["failures"][label] = {}
        for each in demanded:
            if "." in each.id or each.id in unasked.get(label, {}):
                continue  # a plug-in's, or one that must not be asked of this layer
            result = check_property(card, each, options.profile, target)
            results[each.id] = {backend: result.status}
            failure = None
            if not result.ok:
                failure = [result.token, result.message]
            found["failures"][label][each.id] = {backend: failure}
        seconds = time.perf_counter() - start
        found["seconds"][backend][label] = round(seconds, 1)
        bad = [id for id, by in results.items() if by[backend] not in ("passed", "not_applicable")]
        print(f"{backend} {label}: {seconds:.1f} s {' '.join(bad)}", flush=True)
        _write(options.out, found)
        keras.backend.clear_session()
        gc.collect()


def _write(path: Path, found: dict) -> None:
    data = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    _merge(data, found)
    path.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")


def _merge(into: dict, found: dict) -> None:
    for key, value in found.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = value


if __name__ == "__main__":
    main()
