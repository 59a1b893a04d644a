"""A run as Markdown. Names and messages come from the layers that were checked, so all are escaped."""

import re
from collections.abc import Iterable

from layerzoo.testing.engine.report import printable
from layerzoo.testing.front.runs import Run
from layerzoo.testing.front.wording import asides, cell, summary


def as_markdown(run: Run) -> str:
    """The run as Markdown."""
    text = ["# Conformance report", ""]
    text += [f"Profile {_plain(run.profile)}, Keras {_plain(run.keras)}.", ""]
    text += [f"- {_plain(line)}" for line in summary(run)]
    text += ["", "## Layers", "", *_head("Layer", *run.backends)]
    for label in run.results:
        standings = [run.report(label, backend).standing for backend in run.backends]
        cells = [f"{'✗' if hold < due else '✓'} {hold} of {due}" for hold, due in standings]
        text.append(_row([_plain(label), *cells]))
    failures = run.failures
    text += ["", "## Failures", ""] if failures else ["", "No property failed.", ""]
    for each in failures:
        title = f"{_plain(each.layer)}, {_plain(each.title)} on {', '.join(each.backends)}"
        text += [f"### {title}: {each.status}", "", *_block(each.result.message), ""]
    for title, lines in asides(run):
        text += [f"## {title}", "", *(f"- {_plain(line)}" for line in lines), ""]
    for label in run.results:
        text += [f"## {_plain(label)}", "", *_head("Property", *run.backends)]
        for id, about in run.properties.items():
            cells = [_plain(cell(run, label, id, backend)[1]) for backend in run.backends]
            text.append(_row([f"**{_plain(id)}** {_plain(about.name)}", *cells]))
        text.append("")
    return "\n".join(text)


def _plain(text: str) -> str:
    """One line of Markdown that shows the text literally."""
    line = printable(" ".join(text.split()))
    return re.sub(r"([\\`*_{}\[\]<>&~|#!$])", r"\\\1", line)


def _head(*cells: str) -> list[str]:
    return [_row(cells), _row(["---"] * len(cells))]


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _block(text: str) -> list[str]:
    """A code block whose fence is longer than any in the text."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return [f"{fence}text", printable(text), fence]
