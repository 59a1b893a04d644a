"""What the commands of the kit print, and a run as the terminal shows it."""

import sys

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from layerzoo.testing.engine.report import printable
from layerzoo.testing.front.runs import Run
from layerzoo.testing.front.wording import problems, reasons, shortfalls, summary, survivors

console = Console()


def say(text: str) -> None:
    """Print a text as it is."""
    console.print(printable(text), markup=False, highlight=False, soft_wrap=True)


def warn(text: str) -> None:
    """Print a text as it is, beside the output."""
    print(printable(text), file=sys.stderr)


def show(run: Run) -> None:
    """Print how many properties hold, and whatever is not good."""
    if run.results:
        _show_table(run)
    for each in run.failures:
        others = each.backends[1:]
        same = f"\n  the same on     {', '.join(others)}" if others else ""
        say(f"\n{each.result.message}{same}")
    for line in reasons(run, "not_asked"):
        say(f"\n{line}")
    for line in shortfalls(run):
        say(f"not checked: {line}")
    for line in survivors(run):
        say(line)
    for line in problems(run):
        warn(f"layerzoo: error: {line}")


def _show_table(run: Run) -> None:
    say(f"properties that hold, profile {run.profile}")
    table = Table("layer", *run.backends, box=None)
    for label in run.results:
        standings = [run.report(label, backend).standing for backend in run.backends]
        cells = [f"{hold} of {due}" + (" !" if hold < due else "") for hold, due in standings]
        table.add_row(escape(printable(label)), *cells)
    console.print(table)
    for line in summary(run):
        say(line)
