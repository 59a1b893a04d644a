"""A run as one HTML file. Names and messages come from the layers that were checked, so all are escaped."""

import html
from collections.abc import Iterable, Iterator

from layerzoo.testing.engine.report import printable
from layerzoo.testing.front.runs import Run
from layerzoo.testing.front.wording import GLYPHS, asides, cell, summary

STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --paper: #fff; --faint: #59636e; --line: #d1d9e0;
  --good: #116329; --bad: #b3151f; --aside: #59636e; --box: #f4f6f8; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6edf3; --paper: #0d1117; --faint: #9aa4af; --line: #30363d;
    --good: #57c26a; --bad: #ff8079; --aside: #9aa4af; --box: #161b22; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1rem; max-width: 60rem; color: var(--ink); background: var(--paper);
  font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1, h2, h3 { line-height: 1.25; margin: 2rem 0 .5rem; } h1 { margin-top: 0; }
h3 { font-size: 1.05rem; } a { color: inherit; }
p, ul { margin: .5rem 0; } ul { padding-left: 1.2rem; } .faint { color: var(--faint); }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .3rem .6rem .3rem 0;
  border-bottom: 1px solid var(--line); }
thead th, summary { font-weight: 600; } tbody th { font-weight: 400; }
.name { display: block; color: var(--faint); font-size: .85rem; }
.good { color: var(--good); } .bad { color: var(--bad); font-weight: 600; } .aside { color: var(--aside); }
pre { padding: .75rem; background: var(--box); border: 1px solid var(--line); border-radius: .3rem;
  overflow-x: auto; overflow-wrap: normal; font: .8rem/1.45 ui-monospace, monospace; }
@media (max-width: 34rem) { th, td { font-size: .85rem; padding-right: .4rem; } }
td, thead th { overflow-wrap: normal; }
details { border-top: 1px solid var(--line); padding: .5rem 0; } summary { cursor: pointer; }
"""

CLASSES = {
    **dict.fromkeys(GLYPHS, "bad"),
    "passed": "good",
    "expected_failure": "aside",
    "not_applicable": "aside",
    "not_run": "aside",
    "not_asked": "aside",
    "expected_inconclusive": "aside",
}
"""The class of a table's cell, by the status in it."""


def as_html(run: Run) -> str:
    """The run as one HTML file, which loads nothing from elsewhere."""
    labels = list(run.results)
    text = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        "style-src 'unsafe-inline'\">",
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>Conformance report</title><style>{STYLE}</style></head><body>",
        "<h1>Conformance report</h1>",
        f"<p>Profile {_safe(run.profile)}, Keras {_safe(run.keras)}.</p>",
        _list(summary(run)),
        "<h2>Layers</h2>",
        *_table("Layer", run.backends, (_layer(run, *item) for item in enumerate(labels))),
        *_failures(run),
    ]
    for title, lines in asides(run):
        text += [f"<h2>{title}</h2>", _list(lines)]
    text += [
        "<h2>Every check</h2>",
        '<p class="faint">Each number is the number of samples on which a property was checked.</p>',
    ]
    for number, label in enumerate(labels):
        bad = any(hold < due for hold, due in _standings(run, label))
        text += [
            f'<details id="layer-{number}"{" open" if bad or len(labels) == 1 else ""}>'
            f"<summary>{_safe(label)}</summary>",
            *_table("Property", run.backends, (_checks(run, label, id) for id in run.properties)),
            "</details>",
        ]
    return "\n".join([*text, "</body></html>"]) + "\n"


def _layer(run: Run, number: int, label: str) -> str:
    """The row of a layer, with a link to its checks."""
    cells = [
        ("bad", f"✗ {hold} of {due}") if hold < due else ("good", f"✓ {hold} of {due}")
        for hold, due in _standings(run, label)
    ]
    return _row(f'<a href="#layer-{number}">{_safe(label)}</a>', cells)


def _standings(run: Run, label: str) -> list[tuple[int, int]]:
    return [run.report(label, backend).standing for backend in run.backends]


def _failures(run: Run) -> Iterator[str]:
    yield "<h2>Failures</h2>" if run.failures else "<p>No property failed.</p>"
    for each in run.failures:
        where = f"{each.layer}, {each.title} on {', '.join(each.backends)}"
        status = f"{GLYPHS[each.result.status]} {each.status}"
        yield (
            f'<h3>{_safe(where)} <span class="bad">{status}</span></h3>'
            f"<pre>{_safe(each.result.message)}</pre>"
        )


def _checks(run: Run, label: str, id: str) -> str:
    """The row of a property."""
    each = run.properties[id]
    name = (
        f'<span title="{_safe(each.statement)}">{_safe(id)}</span> '
        f'<span class="name">{_safe(each.name)}</span>'
    )
    found = (cell(run, label, id, backend) for backend in run.backends)
    return _row(name, [(CLASSES[status], text) for status, text in found])


def _table(first: str, others: Iterable[str], rows: Iterable[str]) -> Iterator[str]:
    heads = "".join(f'<th scope="col">{_safe(name)}</th>' for name in (first, *others))
    yield f'<div class="wide"><table><thead><tr>{heads}</tr></thead><tbody>'
    yield from rows
    yield "</tbody></table></div>"


def _row(head: str, cells: Iterable[tuple[str, str]]) -> str:
    body = "".join(f'<td class="{kind}">{text}</td>' for kind, text in cells)
    return f'<tr><th scope="row">{head}</th>{body}</tr>'


def _list(lines: Iterable[str]) -> str:
    return f"<ul>{''.join(f'<li>{_safe(line)}</li>' for line in lines)}</ul>"


def _safe(text: str) -> str:
    return html.escape(printable(text))
