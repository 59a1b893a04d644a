"""What every report of a run says, whatever its format."""

from collections.abc import Iterator

from layerzoo.testing.engine.report import Status
from layerzoo.testing.front.runs import Run

NOT_CHECKED = "not_checked"
"""Stands in a table for the status of a property that has no result."""

GLYPHS: dict[str, str] = {
    "passed": "✓",
    "expected_failure": "≈",
    "not_applicable": "·",
    "not_run": "-",
    "not_asked": "…",
    "failed": "✗",
    "unexpected_pass": "!",
    "inconclusive": "?",
    "expected_inconclusive": "~",
    NOT_CHECKED: "○",
}


def cell(run: Run, label: str, id: str, backend: str) -> tuple[str, str]:
    """The status of a property in a table, and the text of its cell."""
    result = run.results[label].get(id, {}).get(backend)
    status = NOT_CHECKED if result is None or result.empty else result.status
    samples = f", {result.samples}" if result and result.samples else ""
    return status, f"{GLYPHS[status]} {status.replace('_', ' ')}{samples}"


def summary(run: Run) -> list[str]:
    """A line for each backend: how much was checked."""
    lines = []
    for backend, total in run.totals.items():
        statuses = ", ".join(f"{n} {s.replace('_', ' ')}" for s, n in total.statuses.items())
        lines.append(
            f"{backend} {run.backends[backend]}: {_count(total.checks, 'check')} at "
            f"{_count(total.samples, 'sample')} of {_count(total.layers, 'layer')} "
            f"in {total.seconds:,} s" + (f" ({statuses})" if statuses else "")
        )
    injected = sum(len(by) for defects in run.mutants.values() for by in defects.values())
    if injected:
        seen = injected - len(run.survivors)
        lines.append(f"injected defects that a property detected: {seen} of {injected}")
    if unusable := problems(run):
        lines.append(f"could not be used: {_count(len(unusable), 'target')}")
    if run.shortfalls:
        lines.append(f"demanded but not checked: {len(run.shortfalls)}")
    return lines


def _count(number: int, thing: str) -> str:
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def problems(run: Run) -> list[str]:
    """A line for each target that could not be used, with the backends if only some are affected."""
    found: dict[str, list[str]] = {}
    for backend, here in run.problems.items():
        for each in here:
            line = ": ".join(filter(None, [each.target, each.problem]))
            found.setdefault(line, []).append(backend)
    everywhere = list(run.problems)
    return [
        line if backends == everywhere else f"{line} (on {', '.join(backends)})"
        for line, backends in found.items()
    ]


def shortfalls(run: Run) -> list[str]:
    """A line for each thing that was demanded but not checked."""
    return [
        " ".join(filter(None, [each.layer, each.property, f"on {each.backend}:", each.why]))
        for each in run.shortfalls
    ]


def survivors(run: Run) -> list[str]:
    """A line for each injected defect that no property detected."""
    return [
        f"{label}, injected defect: {defect}. No property on {backend} detected it. Advice: {fate.advice}"
        for label, defect, backend, fate in run.survivors
    ]


def reasons(run: Run, status: Status) -> list[str]:
    """Each reason for a status once, with the layers and properties for which it is given."""
    found: dict[tuple[str, str], dict[str, None]] = {}
    for label, _, result in run.every():
        if result.status == status:
            reason = " ".join(result.message.split())
            found.setdefault((label, reason), {})[result.id] = None
    return [f"{label} {', '.join(ids)}: {reason}" for (label, reason), ids in found.items()]


def asides(run: Run) -> Iterator[tuple[str, list[str]]]:
    """What a report says in addition to results and failures, each with its heading."""
    lists = {
        "Could not be used": problems(run),
        "Not checked": shortfalls(run),
        "Injected defects that no property detected": survivors(run),
        "Not asked": reasons(run, "not_asked"),
        "Not run": reasons(run, "not_run"),
        "Does not apply": reasons(run, "not_applicable"),
        "Expected failures": reasons(run, "expected_failure"),
        "Expected to be inconclusive": reasons(run, "expected_inconclusive"),
    }
    yield from ((title, lines) for title, lines in lists.items() if lines)
