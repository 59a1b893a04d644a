"""What each command does; `layerzoo_entry.cli` reads the arguments."""

import inspect
import json
import os
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import keras
from rich import traceback
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from layerzoo.catalogue import Card, catalogue, find

console = Console()


def run(options) -> int:
    """Carry out a command and give its exit code."""
    traceback.install(console=Console(stderr=True), suppress=[keras])
    return COMMANDS[options.command](options)


def card_named(name: str) -> Card:
    """The card of a layer.

    Raises:
        ValueError: there is no layer of this name.
    """
    cards = catalogue()
    if name not in cards:
        raise ValueError(
            f"A layer is named as `layerzoo list` prints it. Received: {name!r}. "
            f"There are {', '.join(cards)}"
        )
    return cards[name]


def list_layers(options) -> int:
    """Print a table of the layers that match a pattern; exit code 1 if there are none."""
    cards = find(options.pattern)
    table = Table("layer", "family", "what it does", "paper", "year", box=None)
    for card in cards:
        table.add_row(card.name, card.family, card.summary, card.paper, str(card.year or ""))
    console.print(table if cards else f"No layer matches {options.pattern!r}.")
    return 0 if cards else 1


def show(options) -> int:
    """Print a layer's documentation and claims."""
    card = card_named(options.name)
    console.print(f"[bold]{card.name}[/bold]{inspect.signature(card.layer)}", highlight=False)
    console.print(inspect.getdoc(card.layer), markup=False, highlight=False, soft_wrap=True)
    claims = {
        name: value if not callable(value) else "depends on the config"
        for name, value in vars(card.traits).items()
    }
    written = ", ".join(f"{k}={v!r}" for k, v in claims.items())
    console.print(f"\nClaims: {written}", markup=False, highlight=False, soft_wrap=True)
    return 0


def check(options) -> int:
    """Check layers on one or several backends, each in a process of its own; exit code 1 on a failure."""
    names = [card_named(name).name for name in options.names] or list(catalogue())
    here = keras.backend.backend()
    wanted = options.backend or [here]
    backends = ["tensorflow", "jax", "torch"] if "all" in wanted else wanted
    merged: dict = {}
    for backend in backends:
        found = (
            _check_here(names, options)
            if backend == here
            else _check_elsewhere(backend, names, options)
        )
        _merge(merged, found)
    failed = _print_verdicts(merged, options.profile)
    if options.report:
        options.report.write_text(json.dumps(merged, indent=1) + "\n")
    return 1 if failed else 0


def _check_here(names, options) -> dict:
    from layerzoo.testing import check_property, select

    properties = select(*options.only)
    backend = keras.backend.backend()
    layers: dict = {}
    columns = (TextColumn("{task.description}"), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=len(names) * len(properties))
        for name in names:
            card = catalogue()[name]
            for each in properties:
                progress.update(task, description=f"{name} on {backend}: {each.name}")
                result = check_property(card, each, options.profile)
                layers.setdefault(name, {})[each.id] = {
                    backend: {
                        "status": result.status,
                        "samples": result.samples,
                        "reason": result.message,
                        "token": result.token,
                    }
                }
                progress.advance(task)
    return {
        "profile": options.profile,
        "keras": keras.__version__,
        "backends": {backend: version(backend)},
        "properties": {
            each.id: {
                "name": each.name,
                "tier": each.tier,
                "group": each.group,
                "statement": each.statement,
            }
            for each in properties
        },
        "layers": layers,
    }


def _check_elsewhere(backend, names, options) -> dict:
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = [sys.executable, "-m", "layerzoo_entry.cli", "check", *names]
        command += ["--profile", options.profile]
        command += [f"--only={pattern}" for pattern in options.only]
        command += ["--backend", backend, "--report", str(report)]
        done = subprocess.run(
            command,
            env={**os.environ, "KERAS_BACKEND": backend},
            stdout=subprocess.DEVNULL,
            check=False,
        )
        if not report.exists():
            raise ValueError(
                f"The checks on {backend} gave no report, see above. Received: exit code "
                f"{done.returncode}"
            )
        return json.loads(report.read_text())


def _merge(merged: dict, found: dict) -> None:
    for key, value in found.items():
        if isinstance(value, dict):
            _merge(merged.setdefault(key, {}), value)
        else:
            merged[key] = value


def _print_verdicts(merged, profile) -> list:
    backends = list(merged["backends"])
    table = Table("layer", *backends, title=f"properties that hold, profile {profile}", box=None)
    failed = []
    for name, results in merged["layers"].items():
        cells = []
        for backend in backends:
            mine = [each[backend] for each in results.values()]
            fine = [each for each in mine if each["status"] in ("passed", "expected_failure")]
            aside = [each for each in mine if each["status"] == "not_applicable"]
            bad = [each for each in mine if each not in fine and each not in aside]
            failed += bad
            cells.append(f"{len(fine)} of {len(mine) - len(aside)}" + (" !" if bad else ""))
        table.add_row(name, *cells)
    console.print(table)
    for each in failed:
        console.print(f"\n{each['reason']}", markup=False, highlight=False, soft_wrap=True)
    return failed


def demo(options) -> int:
    """Train, save, reload and draw."""
    from layerzoo.cookbook import demo

    demo.run(options.out, options.seed)
    return 0


def eject(options) -> int:
    """Print or write one standalone file."""
    from layerzoo.cookbook import eject

    source = eject.eject(card_named(options.name), options.package)
    if options.out is None:
        print(source, end="")
    else:
        options.out.write_text(source)
        console.print(f"wrote {options.out}")
    return 0


def docs(options) -> int:
    """Write the generated pages, or say which are stale."""
    from layerzoo.cookbook import pages

    if not options.check:
        for path in pages.write(options.root, options.package):
            console.print(f"wrote {options.root / path}", soft_wrap=True)
        return 0
    stale = pages.stale(options.root, options.package)
    for path in stale:
        console.print(f"stale: {path}")
    return 1 if stale else 0


def bench(options) -> int:
    """Measure layers beside their peers."""
    from layerzoo.cookbook import bench

    names = [card_named(name).name for name in options.names] or list(catalogue())
    measured = bench.measure(names, options.pairs)
    console.print(bench.table(measured))
    if options.report:
        options.report.write_text(json.dumps(measured, indent=1) + "\n")
    return 0


COMMANDS = {
    "list": list_layers,
    "show": show,
    "check": check,
    "demo": demo,
    "eject": eject,
    "docs": docs,
    "bench": bench,
}
