"""The kit on the command line: `check`, `explain`, `replay` and `selftest`."""

import contextlib
import inspect
import json
import os
import subprocess
import sys
import tempfile
import warnings
from argparse import Namespace
from collections.abc import Iterator, Sequence
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
from layerzoo.testing.engine.ledger import Ledger, Sources
from layerzoo.testing.engine.register import Property, select
from layerzoo.testing.engine.report import printable
from layerzoo.testing.engine.run import PROFILES, Told, check_property, check_sample, failure_at
from layerzoo.testing.engine.token import Token
from layerzoo.testing.engine.triage import in_order
from layerzoo.testing.front import report_files
from layerzoo.testing.front.as_json import of_layer
from layerzoo.testing.front.infer import draft
from layerzoo.testing.front.replay import subject
from layerzoo.testing.front.runs import Problem, Run
from layerzoo.testing.front.targets import class_named, installed, labelled, resolve
from layerzoo.testing.front.terminal import console, say, show, warn
from layerzoo.testing.proof.broken import BROKEN
from layerzoo.testing.proof.matrix import confirm, faults, measure, without
from layerzoo.testing.proof.mutate import check_mutants
from layerzoo.testing.proof.selftest import prove
from layerzoo_entry.backends import wanted
from layerzoo_entry.usage import UsageError, users

AGAIN = [sys.executable, "-m", "layerzoo_entry.cli"]
"""The command that runs this program in a new process."""


@contextlib.contextmanager
def _unwarned() -> Iterator[None]:
    """Hide Keras's warnings, unless Python was started with `-W`, because broken layers warn on each call."""
    with warnings.catch_warnings():
        if not sys.warnoptions:
            warnings.filterwarnings("ignore", module="keras")
        yield


@_unwarned()
def check(options: Namespace) -> int:
    """Check targets on one or several backends, each backend in its own process.

    The exit code is 1 if a property failed, was not checked, or is inconclusive although the card does not
    expect that. Otherwise it is 2 if a target could not be used.
    """
    properties = _selected(options.only)
    run = Run.planned(options.profile, properties, partial=bool(options.only))
    sources = Sources()
    for backend in wanted(options.backend or [compat.BACKEND]):
        here = backend == compat.BACKEND
        run.merge(_checked_here(properties, options) if here else _checked_on(backend, options))
    for path in options.report:
        report_files.write(run, path)
    if options.measured:
        _write_measured(run, options.measured, sources)
    if options.part:
        return 0
    show(run)
    return 1 if not run.ok else 2 if any(run.problems.values()) else 0


def _selected(patterns: Sequence[str]) -> list[Property]:
    with users(ValueError):
        return select(*patterns)


def _write_measured(run: Run, folder: Path, sources: Sources) -> None:
    """Write what was found of each layer, and the keys that the ledger goes by.

    Args:
        run: The run.
        folder: Where to write.
        sources: layerzoo as it was before the run.
    """
    keys = Ledger(folder, sources)
    unchanged = sources.texts == Sources().texts
    if not unchanged:
        say("The source of layerzoo changed during the run, and so the ledger gets no keys.")
    for label in run.results:
        found = of_layer(run, label)
        card = catalogue().get(label)
        if unchanged and card is not None and run.targets[label] == label:
            keys.sign(found, card)
        measured.write(folder, "verified", label, found)


def _checked_here(properties: Sequence[Property], options: Namespace) -> Run:
    """What this process finds."""
    targets = installed()
    if options.names:
        targets = [each for text in dict.fromkeys(options.names) for each in resolve(text)]
    labels = labelled(targets)
    run = Run.here(options.profile, properties, partial=bool(options.only))
    run.problems[compat.BACKEND] = [
        Problem(each.text, each.problem) for each in targets if each.problem
    ]
    with _progress() as progress:
        task = progress.add_task("", total=len(labels) * len(properties))
        for label, (card, text) in labels.items():
            name = escape(printable(label))
            told: Told = {}
            for each in in_order(properties):
                progress.update(task, description=f"{name} on {compat.BACKEND}: {each.name}")
                result = check_property(card, each, options.profile, text, told=told)
                run.add(label, text, result)
                progress.advance(task)
            if options.mutate:
                progress.update(task, description=f"{name} on {compat.BACKEND}: injected defects")
                run.add_mutants(label, check_mutants(card, options.profile))
            if progress.disable:  # a log should show that the run is alive
                seconds = sum(each.seconds for each in run.report(label, compat.BACKEND).results)
                warn(f"{label} on {compat.BACKEND}: {seconds:.1f} s")
    return run


def _checked_on(backend: str, options: Namespace) -> Run:
    """What a process with another backend finds."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = [*AGAIN, "check", "--part", "--profile", options.profile]
        command += ["--mutate"] if options.mutate else []
        command += [f"--only={pattern}" for pattern in options.only]
        command += ["--backend", backend, "--report", str(report), "--", *options.names]
        code = subprocess.run(command, env=_environment(backend), check=False).returncode
        if report.exists():
            return Run.from_dict(json.loads(report.read_text(encoding="utf-8")))
    run = Run.planned(options.profile, ())
    run.problems[backend] = [
        Problem(
            "",
            f"The checks on {backend} must end with a report; see above. Received: exit code {code}",
        )
    ]
    return run


def _environment(backend: str) -> dict[str, str]:
    return {**os.environ, "KERAS_BACKEND": backend}


def _progress() -> Progress:
    stderr = Console(stderr=True)
    columns = (TextColumn("{task.description}"), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=stderr, transient=True, disable=not stderr.is_terminal)


def explain(options: Namespace) -> int:
    """Print what properties claim, how they are checked, and what they detect."""
    properties = _selected(options.patterns)
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
            say(line)
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


def _facts(each: Property) -> list[str]:
    looked = [
        f"{name} {profile.rows[each.cost]}"
        + (f" and {profile.draws[each.cost]} drawn" if profile.draws[each.cost] else "")
        for name, profile in PROFILES.items()
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
def replay(options: Namespace) -> int:
    """Rerun one check from a report. Exit code 1 if it fails or is inconclusive, 2 if it cannot run."""
    with users(ValueError):
        token = Token.parse(options.token)
    if options.backend not in (None, compat.BACKEND):
        command = [*AGAIN, "replay", "--", options.token]
        environment = _environment(options.backend)
        return subprocess.run(command, env=environment, check=False).returncode
    card, each = subject(token)
    at = f"{card.name}  {each.id} {each.name}  {{}} at {token.sample.token} on {compat.BACKEND}"
    try:
        check_sample(card, each, token.sample)
    except NotApplicable as reason:
        raise UsageError(
            "A token must name a check that applies to the card; the card has changed since. "
            f"Received: {options.token!r}: {reason}"
        ) from None
    except Inconclusive as reason:
        say(f"{at.format('INCONCLUSIVE')}\n  {reason}")
        return 1
    except Exception:  # any error that a layer raises is a failure, reported below
        with compat.undisturbed():
            say(str(failure_at(card, each, token.sample, token.target)))
        return 1
    say(at.format("holds"))
    return 0


@_unwarned()
def infer(options: Namespace) -> int:
    """Print a first card for a class."""
    print(draft(class_named(options.layer)).source, end="")
    return 0


@_unwarned()
def selftest(options: Namespace) -> int:
    """Show that each property fails where it must. The exit code is 1 if one cannot."""
    if options.matrix:
        return _kill_matrix(options)
    properties = _selected(options.only)
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
        say(line)
    if not troubles:
        say(
            f"all {len(properties)} properties can fail on {compat.BACKEND}, and none fails on a sound layer"
        )
    return 1 if troubles else 0


def _kill_matrix(options: Namespace) -> int:
    """Measure which property detects which broken layer and write it, or check that it has not changed."""
    folder, check = options.matrix, options.check
    with _progress() as progress:
        task = progress.add_task("", total=None)
        told = lambda name: progress.update(task, description=f"{name} on {compat.BACKEND}")  # noqa: E731
        if not check:
            measured.demand_ours(folder, "kills", [compat.BACKEND])  # before minutes of work
            known = measured.read(folder, "kills", compat.BACKEND) if options.missing else {}
            if known and options.only:
                known = without(known, [each.id for each in _selected(options.only)])
            measured.write(folder, "kills", compat.BACKEND, measure(told, known))
        found = measured.read(folder, "kills", compat.BACKEND)
        if not found:
            path = measured.path_of(folder, "kills", compat.BACKEND)
            raise UsageError(
                f"`--check` needs a matrix for {compat.BACKEND}. `layerzoo selftest --matrix {folder}` "
                f"writes it. Received: --matrix {folder}, without {path}"
            )
        troubles = faults(found) + (confirm(found, told, options.turn) if check else [])
    for line in troubles:
        say(line)
    seen = sum(bool(each["killed_by"]) for each in found["broken"].values())
    say(f"{compat.BACKEND}: {seen} of {len(found['broken'])} broken layers are detected")
    return 1 if troubles else 0
