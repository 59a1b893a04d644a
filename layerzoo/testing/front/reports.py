"""The results of many checks as plain data, and that data as JSON, Markdown or one HTML file.

Names and messages come from the layers that were checked, so all of them are escaped.
"""

import html
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from pathlib import Path

import keras

from layerzoo.tensors import compat
from layerzoo.testing.engine.register import Property
from layerzoo.testing.engine.report import ASIDE, GOOD, Result, printable
from layerzoo.testing.proof.mutate import Verdict

GLYPHS = {
    "passed": "✓",
    "expected_failure": "≈",
    "not_applicable": "·",
    "not_run": "-",
    "not_asked": "…",
    "failed": "✗",
    "unexpected_pass": "!",
    "inconclusive": "?",
    "expected_inconclusive": "~",
    "not_checked": "○",
}


def header(profile: str, properties: Iterable[Property], partial: bool = False) -> dict:
    """The data of a run that has checked nothing yet, on this backend.

    Args:
        profile: How thoroughly it checks.
        properties: The properties to check.
        partial: Whether the user chose them, so that possibly none of them applies to a layer.
    """
    return {
        "profile": profile,
        "keras": keras.__version__,
        "backends": {compat.BACKEND: version(compat.BACKEND)},
        "partial": partial,
        "properties": {
            each.id: {
                "name": each.name,
                "tier": each.tier,
                "group": each.group,
                "statement": each.statement,
            }
            for each in properties
        },
        "targets": {},
        "problems": {},
        "layers": {},
        "mutants": {},
    }


def finding(label: str, target: str, result: Result) -> dict:
    """The data of one result, for merging into a run's."""
    entry = {
        "status": result.status,
        "samples": result.samples,
        "reason": result.message,
        "token": result.token,
        "seconds": round(result.seconds, 2),
    }
    return {
        "targets": {label: target},
        "layers": {label: {result.id: {compat.BACKEND: entry}}},
    }


def mutation(label: str, verdicts: Iterable[Verdict]) -> dict:
    """The data of a layer's mutants, for merging into a run's."""
    told = {
        each.mutant.defect: {compat.BACKEND: {"killer": each.killer, "advice": each.mutant.advice}}
        for each in verdicts
    }
    return {"mutants": {label: told}}


def merge(into: dict, found: dict) -> None:
    """Add the data of part of a run, in place."""
    for key, value in found.items():
        if isinstance(value, dict):
            merge(into.setdefault(key, {}), value)
        else:
            into[key] = value


def conclude(data: dict) -> dict:
    """The data with totals: how much was checked, and what was not."""
    return {**data, "manifest": _manifest(data), "not_checked": list(_not_checked(data))}


def of_layer(data: dict, label: str) -> dict:
    """The stored data of one layer: its results, without the properties' statements and the seconds."""
    results = data["layers"][label]
    kept = ("status", "samples", "reason")
    return {
        **{key: data[key] for key in ("profile", "keras", "backends")},
        "results": {
            identity: {
                backend: {key: entry[key] for key in kept if entry[key]}
                for backend, entry in results[identity].items()
            }
            for identity in data["properties"]
            if identity in results
        },
    }


def write(data: dict, path: Path) -> None:
    """Write concluded data as JSON, Markdown or HTML, depending on the file's suffix."""
    writers = {".json": _json, ".md": markdown, ".html": page}
    path.write_text(writers[path.suffix](data), encoding="utf-8")


def failures(data: dict) -> list[dict]:
    """Each result that is not good: layer, property, backends, status and message.

    Backends whose messages differ only in their own name share one entry.
    """
    found: dict[tuple, dict] = {}
    for label, identity, backend, entry in _entries(data):
        if entry["status"] not in (*GOOD, "not_asked"):
            key = label, identity, entry["status"], entry["reason"].replace(backend, "")
            each = found.setdefault(
                key,
                {
                    "layer": label,
                    "property": f"{identity} {data['properties'][identity]['name']}",
                    "status": entry["status"],
                    "reason": entry["reason"],
                    "backends": [],
                },
            )
            each["backends"].append(backend)
    return list(found.values())


def not_asked(data: dict) -> list[str]:
    """A line for each layer and error that kept properties from being checked."""
    return _reasons(data, "not_asked")


def survivors(data: dict) -> list[str]:
    """A line for each mutant that no property detected."""
    return [
        f"{label}, injected defect: {defect}. No property on {backend} detected it. Advice: {fate['advice']}"
        for label, told in data["mutants"].items()
        for defect, by_backend in told.items()
        for backend, fate in by_backend.items()
        if not fate["killer"]
    ]


def _entries(data) -> Iterator[tuple[str, str, str, dict]]:
    for label, results in data["layers"].items():
        for identity, by_backend in results.items():
            for backend, entry in by_backend.items():
                yield label, identity, backend, entry


def _manifest(data) -> dict:
    manifest = {}
    for backend in data["backends"]:
        mine = [entry for _, _, where, entry in _entries(data) if where == backend]
        manifest[backend] = {
            "layers": sum(any(backend in by for by in r.values()) for r in data["layers"].values()),
            "checks": sum(entry["samples"] > 0 for entry in mine),
            "samples": sum(entry["samples"] for entry in mine),
            "seconds": round(sum(entry["seconds"] for entry in mine), 1),
            "statuses": dict(Counter(entry["status"] for entry in mine)),
        }
    return manifest


def _not_checked(data) -> Iterator[dict]:
    """What was demanded but not checked: a result is missing, or it passed without any sample."""
    for backend in data["backends"]:
        unusable = [each["target"] for each in data["problems"].get(backend, ())]
        looked_at_any = False
        for label, results in data["layers"].items():
            target = data["targets"][label]
            if any(f"{target}:".startswith(f"{each}:") for each in unusable):
                continue  # reported as a problem
            looked = False
            for identity in data["properties"]:
                entry = results.get(identity, {}).get(backend)
                looked |= entry is not None and (
                    entry["samples"] > 0 or entry["status"] == "expected_inconclusive"
                )
                if entry is None:
                    why = "there is no result"
                elif entry["status"] == "passed" and entry["samples"] == 0:
                    why = "it passed without checking any sample"
                else:
                    continue
                yield {"layer": label, "property": identity, "backend": backend, "why": why}
            looked_at_any |= looked or _failed(results, backend)
            if not data["partial"] and not looked and not _failed(results, backend):
                why = "no property applies to the layer"
                yield {"layer": label, "property": "", "backend": backend, "why": why}
        if data["partial"] and data["layers"] and not looked_at_any:
            why = "none of the selected properties applies to any layer"
            yield {"layer": "", "property": "", "backend": backend, "why": why}


def _failed(results, backend) -> bool:
    return any(by[backend]["status"] not in GOOD for by in results.values() if backend in by)


def _json(data) -> str:
    return json.dumps(data, indent=1) + "\n"


def _status(data, label, identity, backend) -> str:
    """The status for a table; `not_checked` if the result is missing."""
    entry = data["layers"][label].get(identity, {}).get(backend)
    if entry is None or (entry["status"] == "passed" and entry["samples"] == 0):
        return "not_checked"
    return entry["status"]


def standing(data: dict, label: str, backend: str) -> tuple[int, int, bool]:
    """How many properties hold, how many apply, and whether there is trouble."""
    statuses = [_status(data, label, identity, backend) for identity in data["properties"]]
    apply = [each for each in statuses if each not in ASIDE]
    hold = [each for each in apply if each in GOOD]
    return len(hold), len(apply), len(hold) < len(apply)


def problems(data: dict) -> list[str]:
    """A line for each target that could not be used, with the backends if only some are affected."""
    found: dict[str, list[str]] = {}
    for backend, each_here in data["problems"].items():
        for each in each_here:
            line = ": ".join(filter(None, [each["target"], each["problem"]]))
            found.setdefault(line, []).append(backend)
    everywhere = list(data["problems"])
    return [
        line if backends == everywhere else f"{line} (on {', '.join(backends)})"
        for line, backends in found.items()
    ]


def shortfalls(data: dict) -> list[str]:
    """A line for each thing that was demanded but not checked."""
    return [
        " ".join(filter(None, [each["layer"], each["property"], f"on {each['backend']}:"]))
        + f" {each['why']}"
        for each in data["not_checked"]
    ]


def summary(data: dict) -> list[str]:
    """A line for each backend: how much was checked."""
    lines = []
    for backend, counts in data["manifest"].items():
        statuses = ", ".join(f"{n} {s.replace('_', ' ')}" for s, n in counts["statuses"].items())
        lines.append(
            f"{backend} {data['backends'][backend]}: {_count(counts['checks'], 'check')} at "
            f"{_count(counts['samples'], 'sample')} of {_count(counts['layers'], 'layer')} "
            f"in {counts['seconds']:,} s" + (f" ({statuses})" if statuses else "")
        )
    fates = [
        fate for told in data["mutants"].values() for by in told.values() for fate in by.values()
    ]
    if fates:
        seen = sum(bool(fate["killer"]) for fate in fates)
        lines.append(f"injected defects that a property detected: {seen} of {len(fates)}")
    if problems(data):
        lines.append(f"could not be used: {_count(len(problems(data)), 'target')}")
    if data["not_checked"]:
        lines.append(f"demanded but not checked: {len(data['not_checked'])}")
    return lines


def _count(number: int, thing: str) -> str:
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def markdown(data: dict) -> str:
    """Concluded data as Markdown."""
    backends = list(data["backends"])
    text = ["# Conformance report", ""]
    text += [f"Profile {_md(data['profile'])}, Keras {_md(data['keras'])}.", ""]
    text += [f"- {_md(line)}" for line in summary(data)]
    text += [
        "",
        "## Layers",
        "",
        *_md_row(["Layer", *backends]),
        *_md_row(["---"] * (1 + len(backends))),
    ]
    for label in data["layers"]:
        standings = [standing(data, label, backend) for backend in backends]
        cells = [f"{'✗' if bad else '✓'} {hold} of {due}" for hold, due, bad in standings]
        text += _md_row([_md(label), *cells])
    found = failures(data)
    text += ["", "## Failures", ""] if found else ["", "No property failed.", ""]
    for each in found:
        title = f"{_md(each['layer'])}, {_md(each['property'])} on {', '.join(each['backends'])}"
        text += [f"### {title}: {each['status'].replace('_', ' ')}", ""]
        text += [*_md_block(each["reason"]), ""]
    for title, lines in _asides(data):
        text += [f"## {title}", "", *(f"- {_md(line)}" for line in lines), ""]
    for label in data["layers"]:
        text += [f"## {_md(label)}", "", *_md_row(["Property", *backends])]
        text += _md_row(["---"] * (1 + len(backends)))
        for identity, law in data["properties"].items():
            cells = [_md(_cell(data, label, identity, backend)) for backend in backends]
            text += _md_row([f"**{_md(identity)}** {_md(law['name'])}", *cells])
        text += [""]
    return "\n".join(text)


def _asides(data) -> Iterator[tuple[str, list[str]]]:
    """What a report says in addition to results, if there is anything."""
    told = {"Could not be used": problems(data), "Not checked": shortfalls(data)}
    told["Injected defects that no property detected"] = survivors(data)
    told["Not asked"] = not_asked(data)
    told["Not run"] = _reasons(data, "not_run")
    told["Does not apply"] = _reasons(data, "not_applicable")
    told["Expected failures"] = _reasons(data, "expected_failure")
    told["Expected to be inconclusive"] = _reasons(data, "expected_inconclusive")
    yield from ((title, lines) for title, lines in told.items() if lines)


def _reasons(data, status) -> list[str]:
    """Each reason once, with the layers and properties for which it is given, over all backends."""
    by_reason: dict[tuple[str, str], list[str]] = {}
    for label, identity, _, entry in _entries(data):
        if entry["status"] == status:
            ids = by_reason.setdefault((label, " ".join(entry["reason"].split())), [])
            ids += [identity] if identity not in ids else []
    return [f"{label} {', '.join(ids)}: {reason}" for (label, reason), ids in by_reason.items()]


def _cell(data, label, identity, backend) -> str:
    status = _status(data, label, identity, backend)
    samples = data["layers"][label].get(identity, {}).get(backend, {}).get("samples")
    return f"{GLYPHS[status]} {status.replace('_', ' ')}" + (f", {samples}" if samples else "")


def _md(text: str) -> str:
    """One line of Markdown that shows the text literally."""
    line = printable(" ".join(text.split()))
    return re.sub(r"([\\`*_{}\[\]<>&~|#!$])", r"\\\1", line)


def _md_row(cells) -> list[str]:
    return [f"| {' | '.join(cells)} |"]


def _md_block(text: str) -> list[str]:
    """A code block whose fence is longer than any in the text."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return [f"{fence}text", printable(text), fence]


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


def page(data: dict) -> str:
    """Concluded data as one HTML file, which loads nothing from elsewhere."""
    backends = list(data["backends"])
    e = _html
    columns = "".join(f'<th scope="col">{e(backend)}</th>' for backend in backends)
    text = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        "style-src 'unsafe-inline'\">",
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>Conformance report</title><style>{STYLE}</style></head><body>",
        "<h1>Conformance report</h1>",
        f"<p>Profile {e(data['profile'])}, Keras {e(data['keras'])}.</p>",
        _html_list(summary(data)),
        "<h2>Layers</h2>",
        f'<div class="wide"><table><thead><tr><th scope="col">Layer</th>{columns}</tr></thead><tbody>',
    ]
    anchors = {label: f"layer-{number}" for number, label in enumerate(data["layers"])}
    for label, anchor in anchors.items():
        cells = []
        for backend in backends:
            hold, due, bad = standing(data, label, backend)
            kind, glyph = ("bad", "✗") if bad else ("good", "✓")
            cells.append(f'<td class="{kind}">{glyph} {hold} of {due}</td>')
        text.append(
            f'<tr><th scope="row"><a href="#{anchor}">{e(label)}</a></th>{"".join(cells)}</tr>'
        )
    text.append("</tbody></table></div>")
    found = failures(data)
    text.append("<h2>Failures</h2>" if found else "<p>No property failed.</p>")
    for each in found:
        status = f"{GLYPHS[each['status']]} {each['status'].replace('_', ' ')}"
        text.append(
            f"<h3>{e(each['layer'])}, {e(each['property'])} on {e(', '.join(each['backends']))} "
            f'<span class="bad">{status}</span></h3><pre>{e(each["reason"])}</pre>'
        )
    for title, lines in _asides(data):
        text += [f"<h2>{title}</h2>", _html_list(lines)]
    text.append("<h2>Every check</h2>")
    text.append(
        '<p class="faint">Each number is the number of samples on which a property was checked.</p>'
    )
    for label, anchor in anchors.items():
        bad = any(standing(data, label, backend)[2] for backend in backends)
        text.append(
            f'<details id="{anchor}"{" open" if bad or len(anchors) == 1 else ""}>'
            f"<summary>{e(label)}</summary>"
            f'<div class="wide"><table><thead><tr><th scope="col">Property</th>{columns}</tr></thead><tbody>'
        )
        for identity, law in data["properties"].items():
            cells = []
            for backend in backends:
                kind = CLASSES[_status(data, label, identity, backend)]
                cells.append(f'<td class="{kind}">{_cell(data, label, identity, backend)}</td>')
            text.append(
                f'<tr><th scope="row"><span title="{e(law["statement"])}">{e(identity)}</span> '
                f'<span class="name">{e(law["name"])}</span></th>{"".join(cells)}</tr>'
            )
        text.append("</tbody></table></div></details>")
    text.append("</body></html>")
    return "\n".join(text) + "\n"


def _html(text: str) -> str:
    return html.escape(printable(text))


def _html_list(lines) -> str:
    return f"<ul>{''.join(f'<li>{_html(line)}</li>' for line in lines)}</ul>"
