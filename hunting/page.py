"""Write `docs/hunting.md` from what was run and what was found: `python -m hunting.page`.

The page is committed, and a test says when it is stale.
"""

from collections import Counter
from pathlib import Path

from hunting.again import changed, gone, recorded
from hunting.findings import BACKENDS, CLASSES, Finding, findings
from hunting.results import FOUND, read

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "hunting.md"
NAMES = {"tensorflow": "TensorFlow", "jax": "JAX", "torch": "PyTorch"}
LETTERS = {"tensorflow": "T", "jax": "J", "torch": "P"}
GENERATED = "<!-- Written by `python -m hunting.page` from what was run and found. Edit those. -->"

COMPARES = "X5"
"""The property that compares the backends, and is asked from one of them."""

MEANING = {
    "defect": "The layer does something else than its documentation, its own symbolic call or another "
    "backend says, or loses what it was given.",
    "limitation": "The layer, or the backend under it, cannot do what a property asks and most layers can.",
    "design": "Keras means it so; a user of the property has to know.",
}


FOUND_BY_HAND = "Found beside the properties, while a card was written or a failure looked at."


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
    """The page, which marks what is gone on a newer Keras; `again` is what was found there."""
    again = recorded() if again is None else again
    data = read(FOUND["keras"])
    found = findings()
    failed = failures(data)
    versions = ", ".join(f"{NAMES[b]} {data['backends'][b]}" for b in BACKENDS)
    asked = {id for results in data["results"].values() for id in results}
    parts = [
        "# The kit over Keras's own layers",
        GENERATED,
        "Every layer that `keras.layers` makes public and that can be called with arrays was given a card, "
        f"{len(data['results'])} in all, and the conformance kit looked at {len(asked)} of its "
        f"{len(data['properties'])} properties on three backends: Keras {data['keras']} with {versions}, on "
        f"a CPU, at the profile `{data['profile']}`. Every failure was then looked at by hand, and what was "
        "a fault of the kit or of a card was mended there. What remains is listed here, with Python that "
        "needs keras and numpy alone. It is meant as a report to be acted on: almost all of these layers "
        "keep almost all of what is asked of them.",
        _counts(found, failed, data),
        "## What was asked of whom\n\n"
        "The cards move the arguments of each layer off their defaults and claim what its documentation "
        "claims. TensorFlow has no kernels on the CPU for convolution and pooling with channels first; "
        "there the cards keep to channels last, and nothing is reported about it. Layers that take strings, "
        "a SavedModel or a Flax module have no card: "
        "`StringLookup`, `TextVectorization`, `TFSMLayer`, `FlaxLayer`. `JaxLayer` was checked on JAX and "
        "`TorchModuleWrapper` on PyTorch.",
        _newer(found, again),
        "## Findings",
        *(_section(kind, found, failed, again) for kind in CLASSES),
        "## Layer by layer",
        "Where something fails on some backends only, their letters follow: T for TensorFlow, J for JAX, P "
        "for PyTorch. A number counts properties that hold, or do not apply, on every backend that was "
        "looked at; the last column, how many properties a backend has still to be asked for.",
        _table(data, found, failed),
        *_keras_hub(),
        "## Do it again\n\n```bash\npython -m hunting.run --backend all\npython -m hunting.page\n```\n\n"
        "On a newer Keras, `python -m hunting.again --backend all` runs the snippets alone. "
        "With `--library keras_hub` the first command looks at KerasHub's layers, for which `keras-hub` must "
        "be installed. "
        "A single layer is checked with `layerzoo check hunting.keras_layers:CARDS:Dense`.",
    ]
    return "\n\n".join(parts) + "\n"


def _keras_hub() -> list[str]:
    """The part on KerasHub, whose cards, results and findings are kept apart."""
    data = read(FOUND["keras_hub"])
    found = findings("findings_keras_hub.toml")
    failed = failures(data)
    return [
        "## KerasHub",
        "The same was asked of the layers that KerasHub makes public, version "
        f"{data['library']['keras_hub']}, without tensorflow-text: {len(data['results'])} cards, of which "
        "some look at one layer with other inputs. The image converters of the models add the name of a "
        "backbone to `ImageConverter`, and have its card unless they do more. What takes strings, gives "
        "ragged lists, or needs tensorflow-text in a model has none. On PyTorch `SAM3GeometryEncoder` needs "
        "torchvision and was not looked at; nor were the examples in the docstrings of the converters, which "
        "fetch presets from the network. The snippets need keras_hub too.",
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
    """The backends on which a result that failed is explained by the finding."""
    explained = {backend for _, _, backend in finding.explains() & failed}
    return [backend for backend in BACKENDS if backend in explained]


def _newer(found: list[Finding], again: dict) -> str:
    """What a newer Keras than the one looked at has mended."""
    titles = {each.id: each.title for each in found}
    whole = [each.id for each in found if set(gone(again).get(each.id, ())) == set(each.backends)]
    partly = {id: backends for id, backends in gone(again).items() if id not in whole}
    version = again["keras"]
    versions = ", ".join(
        f"{NAMES[b]} {again['backends'][b]}" for b in BACKENDS if b in again["backends"]
    )
    lines = [f"- [{titles[id]}](#{id})" for id in whole]
    lines += [
        f"- [{titles[id]}](#{id}), on {_names(backends)} alone" for id, backends in partly.items()
    ]
    text = (
        f"## On Keras {version}\n\nThe snippets were run again on this version, with {versions}. "
        f"{len(whole)} of the {len(found)} findings are gone"
        + (f", and {len(partly)} on some backends" if partly else "")
        + ":\n\n"
        + "\n".join(lines)
    )
    others = changed(again)
    if others:
        text += "\n\nThese still fail, in another error:\n\n"
        text += "\n".join(
            f"- [{each.title}](#{each.id}), on {NAMES[backend]}: `{end}`, not `{each.raises}`"
            for each, backend, end in others
        )
    return (
        text
        + "\n\nAll of them stay in the lists below, because the released version still has them."
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
    """Which result is inconclusive, as a reader takes it: `AugMix: G1 @ torch` is G1 on PyTorch."""
    ids, _, backends = line.partition(": ")[2].partition(" @ ")
    return ", ".join(ids.split()) + (f" on {_names(backends.split())}" if backends else "")


def _table(data, found, failed) -> str:
    explained = {
        key: each.id for each in reversed(found) for key in each.explains() | each.leaves_open()
    }
    failed = failed | inconclusive(data)
    rows = [
        "| layer | holds | fails or is inconclusive | does not apply | not looked at |",
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
