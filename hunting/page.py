"""Write `docs/hunting.md` from the results and the findings: `python -m hunting.page`.

The page is committed, and a test fails if it is stale.
"""

from collections import Counter
from pathlib import Path

from hunting.again import changed, gone, recorded
from hunting.findings import CLASSES, Finding, findings
from hunting.results import FOUND, read
from layerzoo_entry.backends import BACKENDS, NAMES

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "hunting.md"
LETTERS = {"tensorflow": "T", "jax": "J", "torch": "P"}
GENERATED = "<!-- Written by `python -m hunting.page` from what was run and found. Edit those. -->"

COMPARES = "X5"
"""The property that compares the backends; it is checked from one of them."""

MEANING = {
    "defect": "The layer contradicts its documentation, its own symbolic call or another backend, or loses "
    "an argument or a value.",
    "limitation": "The layer, or its backend, cannot do what the property requires and most layers can.",
    "design": "Keras intends this, but anyone who relies on the property has to know about it.",
}


FOUND_BY_HAND = "Not found by a property, but while writing a card or examining a failure."


def failures(data) -> set[tuple[str, str, str]]:
    """Layer, property and backend of each result that is neither good nor inconclusive."""
    return _with_status(data, lambda s: s not in ("passed", "not_applicable", "inconclusive"))


def inconclusive(data) -> set[tuple[str, str, str]]:
    """Layer, property and backend of each result that is inconclusive."""
    return _with_status(data, lambda status: status == "inconclusive")


def _with_status(data, wanted) -> set[tuple[str, str, str]]:
    return {
        (layer, id, backend)
        for layer, results in data["results"].items()
        for id, by_backend in results.items()
        for backend, status in by_backend.items()
        if wanted(status)
    }


def render(again: dict | None = None) -> str:
    """The page. `again` holds the results on a newer Keras, where some findings are gone."""
    again = recorded() if again is None else again
    data = read(FOUND["keras"])
    found = findings()
    failed = failures(data)
    versions = ", ".join(f"{NAMES[b]} {data['backends'][b]}" for b in BACKENDS)
    asked = {id for results in data["results"].values() for id in results}
    parts = [
        "---\nsearch:\n  boost: 0.1\n---",  # it mentions everything, and is rarely what was looked for
        "# The kit over Keras's own layers",
        GENERATED,
        "Every public layer in `keras.layers` that can be called with arrays has a card here, "
        f"{len(data['results'])} in all. The conformance kit checked {len(asked)} of its "
        f"{len(data['properties'])} properties on three backends: Keras {data['keras']} with {versions}, on "
        f"a CPU, with the profile `{data['profile']}`. Every failure was then examined by hand, and faults "
        "of the kit or of a card were fixed. What remains is listed here, with Python code that needs only "
        "keras and numpy. The list is meant to be acted on: almost all of these layers satisfy almost all "
        "properties.",
        _counts(found, failed, data),
        "## What was checked\n\n"
        "The cards move the arguments of each layer off their defaults and claim what its documentation "
        "claims. On a CPU, TensorFlow has no kernels for convolution and pooling with channels first; the "
        "cards use channels last there, and this is not reported. Layers that take strings, a SavedModel or "
        "a Flax module have no card: `StringLookup`, `TextVectorization`, `TFSMLayer`, `FlaxLayer`. "
        "`JaxLayer` was checked only on JAX, and `TorchModuleWrapper` only on PyTorch.",
        _newer(found, again),
        "## Findings",
        *(_section(kind, found, failed, again) for kind in CLASSES),
        "## Layer by layer",
        "If a property fails only on some backends, their letters follow: T for TensorFlow, J for JAX, P "
        "for PyTorch. The numbers count properties that hold, or do not apply, on every backend that was "
        "checked. The last column counts the properties that were not checked on a backend.",
        _table(data, found, failed),
        *_keras_hub(),
        "## To repeat this\n\n```bash\npython -m hunting.run --backend all\npython -m hunting.page\n```\n\n"
        "On a newer Keras, `python -m hunting.again --backend all` runs only the snippets. "
        "With `--library keras_hub` the first command checks KerasHub's layers, if `keras-hub` is installed. "
        "To check a single layer, use `layerzoo check hunting.keras_layers:CARDS:Dense`.",
    ]
    return "\n\n".join(parts) + "\n"


def _keras_hub() -> list[str]:
    """The part about KerasHub, which has its own cards, results and findings."""
    data = read(FOUND["keras_hub"])
    found = findings("findings_keras_hub.toml")
    failed = failures(data)
    return [
        "## KerasHub",
        "The same properties were checked on the public layers of KerasHub "
        f"{data['library']['keras_hub']}, without tensorflow-text, with {len(data['results'])} cards. Some "
        "cards check the same layer with other inputs. The models' image converters only add the name of a "
        "backbone to `ImageConverter`, so they share its card unless they do more. Layers that take strings, "
        "return ragged lists, or need tensorflow-text in a model have no card. `SAM3GeometryEncoder` was not "
        "checked on PyTorch, where it needs torchvision. The examples in the docstrings of the converters "
        "were not run, because they fetch presets from the network. The snippets need keras_hub too.",
        _counts(found, failed, data),
        *(
            "\n\n".join(
                [
                    f"### KerasHub: {kind}",
                    *(_entry(each, failed, {}) for each in found if each.kind == kind),
                ]
            )
            for kind in CLASSES
        ),
        _table(data, found, failed),
    ]


def _counts(found, failed, data) -> str:
    rows = ["| | findings | " + " | ".join(NAMES[b] for b in BACKENDS) + " |"]
    rows += ["|---|---|" + "---|" * len(BACKENDS)]
    for kind in CLASSES:
        mine = [each for each in found if each.kind == kind]
        on = [sum(backend in _shown_on(each, failed) for each in mine) for backend in BACKENDS]
        rows += [f"| {kind} | {len(mine)} | {' | '.join(map(str, on))} |"]
    by = Counter(backend for _, _, backend in failed)
    undecided = Counter(backend for _, _, backend in inconclusive(data))
    total = {
        b: sum(b in by_backend for r in data["results"].values() for by_backend in r.values())
        for b in BACKENDS
    }
    rows += [f"| checks made | | {' | '.join(f'{total[b]:,}' for b in BACKENDS)} |"]
    rows += [f"| checks that fail | | {' | '.join(str(by[b]) for b in BACKENDS)} |"]
    if undecided:
        numbers = " | ".join(str(undecided[b]) for b in BACKENDS)
        rows += [f"| checks that are inconclusive | | {numbers} |"]
    rows += [""] + [f"- **{kind}**: {meaning}" for kind, meaning in MEANING.items()]
    return "\n".join(rows)


def _shown_on(finding: Finding, failed) -> list[str]:
    """The backends on which the finding explains a failure."""
    explained = {backend for _, _, backend in finding.explains() & failed}
    return [backend for backend in BACKENDS if backend in explained]


def _newer(found: list[Finding], again: dict) -> str:
    """The findings that a newer Keras has fixed."""
    titles = {each.id: each.title for each in found}
    whole = [each.id for each in found if set(gone(again).get(each.id, ())) == set(each.backends)]
    partly = {id: backends for id, backends in gone(again).items() if id not in whole}
    version = again["keras"]
    versions = ", ".join(
        f"{NAMES[b]} {again['backends'][b]}" for b in BACKENDS if b in again["backends"]
    )
    lines = [f"- [{titles[id]}](#{id})" for id in whole]
    lines += [
        f"- [{titles[id]}](#{id}), only on {_names(backends)}" for id, backends in partly.items()
    ]
    text = (
        f"## On Keras {version}\n\nThe snippets were rerun on this version, with {versions}. "
        f"{len(whole)} of the {len(found)} findings are gone"
        + (f", and {len(partly)} on some backends" if partly else "")
        + ":\n\n"
        + "\n".join(lines)
    )
    others = changed(again)
    if others:
        text += "\n\nThese still fail, but with a different error:\n\n"
        text += "\n".join(
            f"- [{each.title}](#{each.id}), on {NAMES[backend]}: `{end}`, not `{each.raises}`"
            for each, backend, end in others
        )
    return (
        text
        + "\n\nThe lists below still include all of these, because the released version has them."
    )


def _names(backends) -> str:
    return ", ".join(NAMES[backend] for backend in backends)


def _section(kind: str, found, failed, again) -> str:
    mine = [each for each in found if each.kind == kind]
    return "\n\n".join(
        [f"### {kind.capitalize()}s", *(_entry(each, failed, again) for each in mine)]
    )


def _entry(finding: Finding, failed, again) -> str:
    explained = finding.explains() & failed
    layers = sorted({layer for layer, _, _ in explained})
    ids = sorted({id for _, id, _ in explained})
    on = ", ".join(NAMES[b] for b in _shown_on(finding, failed))
    facts = f"`{'`, `'.join(layers)}` · {', '.join(ids)} · {on}" if explained else FOUND_BY_HAND
    facts += "".join(f" · {line} inconclusive" for line in map(_open, finding.inconclusive))
    if again and finding.id in gone(again):
        backends = gone(again)[finding.id]
        where = "" if set(backends) == set(finding.backends) else f" on {_names(backends)}"
        facts += f" · **gone in Keras {again['keras']}{where}**"
    if finding.upstream:
        facts += f" · [known upstream]({finding.upstream})"
    snippet = "\n".join(f"    {line}".rstrip() for line in finding.snippet.strip().split("\n"))
    return (
        f"#### {finding.title} {{ #{finding.id} }}\n\n{finding.text.strip()}\n\n{facts}\n\n"
        f'??? example "To see it: `{finding.raises}`'
        + (
            ""
            if len(finding.backends) == 3
            else f" on {', '.join(NAMES[b] for b in finding.backends)}"
        )
        + f'"\n\n    ```python\n{snippet}\n    ```'
    )


def _open(line: str) -> str:
    """An inconclusive result in a reader's words: `AugMix: G1 @ torch` becomes G1 on PyTorch."""
    ids, _, backends = line.partition(": ")[2].partition(" @ ")
    return ", ".join(ids.split()) + (f" on {_names(backends.split())}" if backends else "")


def _table(data, found, failed) -> str:
    explained = {
        key: each.id for each in reversed(found) for key in each.explains() | each.leaves_open()
    }
    failed = failed | inconclusive(data)
    rows = [
        "| layer | holds | fails or is inconclusive | does not apply | not checked |",
        "|---|---|---|---|---|",
    ]
    for layer, results in sorted(data["results"].items()):
        holds = away = 0
        broken: dict[tuple[str, str], list[str]] = {}
        for id, by_backend in results.items():
            bad = [b for b in BACKENDS if (layer, id, b) in failed]
            if bad:
                where = "" if len(bad) == len(BACKENDS) else " " + "".join(LETTERS[b] for b in bad)
                broken.setdefault((explained.get((layer, id, bad[0]), ""), where), []).append(id)
            elif set(by_backend.values()) == {"not_applicable"}:
                away += 1
            else:
                holds += 1
        told = [f"[{' '.join(ids)}](#{link}){where}" for (link, where), ids in broken.items()]
        asked_on = {backend for by_backend in results.values() for backend in by_backend}
        missing = [
            f"{LETTERS[b]} {count if b in asked_on else 'all'}"
            for b in BACKENDS
            if (
                count := sum(
                    b not in results.get(id, {})
                    for id in data["properties"]
                    if id != COMPARES or id not in results
                )
            )
        ]
        rows.append(f"| `{layer}` | {holds} | {', '.join(told)} | {away} | {', '.join(missing)} |")
    return "\n".join(rows)


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
    print(f"wrote {PAGE.relative_to(ROOT)}")
