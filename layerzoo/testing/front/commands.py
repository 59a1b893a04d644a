"""The kit on the command line: `check`, `explain`, `replay` and `selftest`."""

import contextlib
import inspect
import json
import os
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.syntax import Syntax
from rich.table import Table

from layerzoo import measured
from layerzoo.catalogue import catalogue
from layerzoo.tensors import compat
from layerzoo.tensors.outcomes import Inconclusive, NotApplicable
from layerzoo.testing.engine import run
from layerzoo.testing.engine.ledger import Ledger, Sources
from layerzoo.testing.engine.register import select
from layerzoo.testing.engine.report import printable
from layerzoo.testing.engine.token import Token
from layerzoo.testing.engine.triage import in_order
from layerzoo.testing.front import reports
from layerzoo.testing.front.infer import draft
from layerzoo.testing.front.replay import subject
from layerzoo.testing.front.targets import class_named, installed, labelled, resolve
from layerzoo.testing.proof.broken import BROKEN
from layerzoo.testing.proof.matrix import confirm, faults, measure, without
from layerzoo.testing.proof.mutate import check_mutants
from layerzoo.testing.proof.selftest import prove

BACKENDS = ("tensorflow", "jax", "torch")

AGAIN = [sys.executable, "-m", "layerzoo_entry.cli"]
"""The command that runs this program in a new process."""

console = Console()


@contextlib.contextmanager
def _unwarned() -> Iterator[None]:
    """Hide Keras's warnings, unless Python was started with `-W`, because broken layers warn on each call."""
    with warnings.catch_warnings():
        if not sys.warnoptions:
            warnings.filterwarnings("ignore", module="keras")
        yield


@_unwarned()
def check(options) -> int:
    """Check targets on one or several backends, each backend in its own process.

    The exit code is 1 if a property failed, was not checked, or is inconclusive although the card does not
    expect that. Otherwise it is 2 if a target could not be used.
    """
    properties = select(*options.only)
    wanted = options.backend or [compat.BACKEND]
    backends = BACKENDS if "all" in wanted else tuple(dict.fromkeys(wanted))
    data = reports.header(options.profile, properties, partial=bool(options.only))
    data["backends"] = {}
    sources = Sources()
    for backend in backends:
        here = backend == compat.BACKEND
        found = _check_here(properties, options) if here else _check_elsewhere(backend, options)
        reports.merge(data, found)
    data = reports.conclude(data)
    for path in options.report:
        reports.write(data, path)
    if options.measured:
        _write_measured(data, options.measured, sources)
    if options.part:
        return 0
    return _verdict(data)


def _write_measured(data, folder, sources) -> None:
    """Write what was found of each layer, and the keys that the ledger goes by.

    Args:
        data: The data of the run.
        folder: Where to write.
        sources: layerzoo as it was before the run.
    """
    keys = Ledger(folder, sources)
    unchanged = sources.texts == Sources().texts
    if not unchanged:
        _say("The source of layerzoo changed during the run, and so the ledger gets no keys.")
    for label in data["layers"]:
        found = reports.of_layer(data, label)
        card = catalogue().get(label)
        if unchanged and card is not None and data["targets"][label] == label:
            keys.sign(found, card)
        measured.write(folder, "verified", label, found)


def _check_here(properties, options) -> dict:
    targets = installed()
    if options.names:
        targets = [each for text in dict.fromkeys(options.names) for each in resolve(text)]
    labels = labelled(targets)
    data = reports.header(options.profile, properties, partial=bool(options.only))
    data["problems"][compat.BACKEND] = [
        {"target": each.text, "problem": each.problem} for each in targets if each.problem
    ]
    with _progress() as progress:
        task = progress.add_task("", total=len(labels) * len(properties))
        for label, (card, text) in labels.items():
            name = escape(printable(label))
            told: run.Told = {}
            for each in in_order(properties):
                progress.update(task, description=f"{name} on {compat.BACKEND}: {each.name}")
                result = run.check_property(card, each, options.profile, text, told=told)
                reports.merge(data, reports.finding(label, text, result))
                progress.advance(task)
            if options.mutate:
                progress.update(task, description=f"{name} on {compat.BACKEND}: injected defects")
                verdicts = check_mutants(card, options.profile)
                reports.merge(data, reports.mutation(label, verdicts))
            if progress.disable:  # a log should show that the run is alive
                seconds = sum(
                    each[compat.BACKEND]["seconds"] for each in data["layers"][label].values()
                )
                _warn(f"{label} on {compat.BACKEND}: {seconds:.1f} s")
    return data


def _check_elsewhere(backend, options) -> dict:
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = [*AGAIN, "check", "--part", "--profile", options.profile]
        command += ["--mutate"] if options.mutate else []
        command += [f"--only={pattern}" for pattern in options.only]
        command += ["--backend", backend, "--report", str(report), "--", *options.names]
        code = subprocess.run(command, env=_environment(backend), check=False).returncode
        if report.exists():
            return json.loads(report.read_text(encoding="utf-8"))
    problem = (
        f"The checks on {backend} must end with a report; see above. Received: exit code {code}"
    )
    return {"problems": {backend: [{"target": "", "problem": problem}]}}


def _environment(backend) -> dict:
    return {**os.environ, "KERAS_BACKEND": backend}


def _progress() -> Progress:
    stderr = Console(stderr=True)
    columns = (TextColumn("{task.description}"), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=stderr, transient=True, disable=not stderr.is_terminal)


def _verdict(data) -> int:
    if data["layers"]:
        _print_table(data)
    for each in reports.failures(data):
        others = each["backends"][1:]
        _say(f"\n{each['reason']}" + (f"\n  the same on     {', '.join(others)}" if others else ""))
    kept = reports.not_asked(data)
    for line in kept:
        _say(f"\n{line}")
    missing = reports.shortfalls(data)
    for line in missing:
        _say(f"not checked: {line}")
    alive = reports.survivors(data)
    for line in alive:
        _say(line)
    unusable = reports.problems(data)
    for line in unusable:
        _warn(f"layerzoo: error: {line}")
    if missing or alive or kept or reports.failures(data):
        return 1
    return 2 if unusable else 0


def _print_table(data) -> None:
    backends = list(data["backends"])
    _say(f"properties that hold, profile {data['profile']}")
    table = Table("layer", *backends, box=None)
    for label in data["layers"]:
        cells = []
        for backend in backends:
            hold, due, bad = reports.standing(data, label, backend)
            cells.append(f"{hold} of {due}" + (" !" if bad else ""))
        table.add_row(escape(printable(label)), *cells)
    console.print(table)
    for line in reports.summary(data):
        _say(line)


def explain(options) -> int:
    """Print what properties claim, how they are checked, and what they detect."""
    properties = select(*options.patterns)
    if not options.patterns:
        table = Table("property", "group", "claim", box=None)
        table.columns[0].no_wrap = True
        for each in properties:
            table.add_row(f"{each.id} {each.name}", each.group, escape(each.statement))
        console.print(table)
        return 0
    for each in properties:
        console.print(f"[bold]{each.id} {each.name}[/bold]", highlight=False)
        console.print(
            f"{inspect.getdoc(each.check)}\n", markup=False, highlight=False, soft_wrap=True
        )
        for line in _facts(each):
            _say(line)
        try:
            lines, number = inspect.getsourcelines(each.check)
        except OSError:  # a property defined at a prompt has no file
            console.print()
            continue
        console.print(
            f"\n{inspect.getsourcefile(each.check)}:{number}", highlight=False, soft_wrap=True
        )
        source = Syntax("", "python", theme="ansi_dark").highlight("".join(lines))
        console.print(source, soft_wrap=True)
    return 0


def _facts(each) -> list[str]:
    looked = [
        f"{name} {profile.rows[each.cost]}"
        + (f" and {profile.draws[each.cost]} drawn" if profile.draws[each.cost] else "")
        for name, profile in run.PROFILES.items()
    ]
    lines = [
        f"group    {each.group}",
        f"tier     {each.tier}: {TIERS[each.tier]}",
        f"cost     {each.cost}: the most samples in each profile: {', '.join(looked)}",
    ]
    lines += [f"never    {each.never}"] if each.never else []
    for broken in BROKEN:
        if broken.kill == each.id:
            what = (broken.card.layer.__doc__ or "").strip().split("\n")[0]
            lines.append(f"catches  {broken.card.name}: {what}")
    return lines


TIERS = {
    "must": "a layer that fails it is broken",
    "should": "a layer that fails it is limited",
    "trait": "only for a layer whose card claims it",
}


@_unwarned()
def replay(options) -> int:
    """Rerun one check from a report. Exit code 1 if it fails or is inconclusive, 2 if it cannot run."""
    token = Token.parse(options.token)
    if options.backend not in (None, compat.BACKEND):
        command = [*AGAIN, "replay", "--", options.token]
        environment = _environment(options.backend)
        return subprocess.run(command, env=environment, check=False).returncode
    card, each = subject(token)
    at = f"{card.name}  {each.id} {each.name}  {{}} at {token.sample.token} on {compat.BACKEND}"
    try:
        run.check_sample(card, each, token.sample)
    except NotApplicable as reason:
        raise ValueError(
            "A token must name a check that applies to the card; the card has changed since. "
            f"Received: {options.token!r}: {reason}"
        ) from None
    except Inconclusive as reason:
        _say(f"{at.format('INCONCLUSIVE')}\n  {reason}")
        return 1
    except Exception:  # any error that a layer raises is a failure, reported below
        with compat.undisturbed():
            _say(run.failure_message(card, each, token.sample, token.target))
        return 1
    _say(at.format("holds"))
    return 0


@_unwarned()
def infer(options) -> int:
    """Print a first card for a class."""
    print(draft(class_named(options.layer)).source, end="")
    return 0


@_unwarned()
def selftest(options) -> int:
    """Show that each property fails where it must. The exit code is 1 if one cannot."""
    if options.matrix:
        return _kill_matrix(options)
    properties = select(*options.only)
    table = Table("id", "name", "fails for", "", box=None)
    troubles: list[str] = []
    with _progress() as progress:
        task = progress.add_task("", total=len(properties))
        for each in properties:
            progress.update(task, description=f"{each.id} {each.name} on {compat.BACKEND}")
            proof = prove(each)
            troubles += proof.troubles
            table.add_row(each.id, each.name, proof.sentinel, "!" if proof.troubles else "")
            progress.advance(task)
    console.print(table)
    for line in troubles:
        _say(line)
    if not troubles:
        _say(
            f"all {len(properties)} properties can fail on {compat.BACKEND}, and none fails on a sound layer"
        )
    return 1 if troubles else 0


def _kill_matrix(options) -> int:
    """Measure which property detects which broken layer and write it, or check that it has not changed."""
    folder, check = options.matrix, options.check
    with _progress() as progress:
        task = progress.add_task("", total=None)
        told = lambda name: progress.update(task, description=f"{name} on {compat.BACKEND}")  # noqa: E731
        if not check:
            measured.demand_ours(folder, "kills", [compat.BACKEND])  # before minutes of work
            known = measured.read(folder, "kills", compat.BACKEND) if options.missing else {}
            if known and options.only:
                known = without(known, [each.id for each in select(*options.only)])
            measured.write(folder, "kills", compat.BACKEND, measure(told, known))
        found = measured.read(folder, "kills", compat.BACKEND)
        if not found:
            path = measured.path_of(folder, "kills", compat.BACKEND)
            raise ValueError(
                f"`--check` needs a matrix for {compat.BACKEND}. `layerzoo selftest --matrix {folder}` "
                f"writes it. Received: --matrix {folder}, without {path}"
            )
        troubles = faults(found) + (confirm(found, told, options.turn) if check else [])
    for line in troubles:
        _say(line)
    seen = sum(bool(each["killed_by"]) for each in found["broken"].values())
    _say(f"{compat.BACKEND}: {seen} of {len(found['broken'])} broken layers are detected")
    return 1 if troubles else 0


def _warn(text: str) -> None:
    print(printable(text), file=sys.stderr)


def _say(text: str) -> None:
    console.print(printable(text), markup=False, highlight=False, soft_wrap=True)
