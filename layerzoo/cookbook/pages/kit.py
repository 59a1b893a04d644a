"""The page of the kit's properties, made from their docstrings and the committed kill matrix."""

import inspect
import textwrap

from layerzoo_entry.backends import NAMES

GROUPS = {
    "shape": "Shapes and dtypes",
    "build": "Building",
    "config": "Configs",
    "files": "Files and copies",
    "gradient": "Gradients",
    "numerics": "Numbers",
    "mask": "Masks",
    "states": "States",
    "independence": "What may depend on what",
    "randomness": "Randomness and state",
    "execution": "Execution",
    "dropin": "Use in models",
    "caller": "Towards the caller",
    "others": "Properties of plug-ins",
}
TIERS = {
    "must": "every layer must satisfy it",
    "should": "a layer that breaks it is limited, not wrong",
    "trait": "checked if the card claims it",
}
GENERATED = "<!-- Written by `layerzoo docs` from the docstrings of the kit. Edit those. -->"


def properties_page(kills: dict, drawing: dict) -> str:
    """Every property: what it claims, its tier, and which broken layers it detects.

    Args:
        kills: The kill matrix of each backend, by the backend's name.
        drawing: What was found by drawing sizes freely, by the backend's name.
    """
    from layerzoo.testing import PROPERTIES

    ours = [each for each in PROPERTIES.values() if "." not in each.id]
    parts = [
        "---\ntitle: Properties\nsearch:\n  boost: 0.3\n---",
        f"# The properties of the kit\n\n{GENERATED}",
        f"{len(ours)} properties, each a small function with a permanent id. `layerzoo explain G1` prints "
        "one with its source, and `layerzoo check --only G1` checks only that one. No property fails on a "
        "sound layer, and for each there is a broken layer that no other property detects.",
        _proof(kills),
        _drawing(drawing),
    ]
    for group in sorted({each.group for each in ours}, key=list(GROUPS).index):
        parts.append(f"## {GROUPS[group]}")
        parts += [_property(each, kills) for each in ours if each.group == group]
    return "\n\n".join(part for part in parts if part) + "\n"


def _proof(kills) -> str:
    if not kills:
        return ""
    rows = [
        "| | Broken layers | detected | Sound layers | failed |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for backend, matrix in kills.items():
        seen = [each for each in matrix["broken"].values() if each["killed_by"]]
        accused = [ids for ids in matrix["sound"].values() if ids]
        rows.append(
            f"| {NAMES[backend]} | {len(matrix['broken'])} | {len(seen)} | {len(matrix['sound'])} "
            f"| {len(accused)} |"
        )
    versions = ", ".join(dict.fromkeys(matrix["keras"] for matrix in kills.values()))
    return (
        "## The proof that it can fail\n\n"
        "The kit comes with layers that have one defect each, and with sound layers of the same kinds. Every "
        "property runs on each of them. The result is committed, and the tests compare it with a new run. "
        "A broken layer that is not detected on a backend has no defect there.\n\n"
        + "\n".join(rows)
        + f"\n\nKeras {versions}."
    )


def _drawing(drawing) -> str:
    if not drawing:
        return ""
    first = next(iter(drawing.values()))
    names = " | ".join(f"Found, {NAMES[backend]}" for backend in drawing)
    rows = [
        f"| Defect | Examples | {names} | Smallest example |",
        f"| --- | ---: |{' ---: |' * len(drawing)} --- |",
    ]
    for name, each in first["layers"].items():
        here = (backend["layers"][name] for backend in drawing.values())
        found = " | ".join(f"{one['found']} of {one['of']}" for one in here)
        rows.append(f"| {each['defect']} | {each['examples']} | {found} | `{each['shown']}` |")
    return (
        "## Sizes drawn freely\n\n"
        "Some defects show only at sizes that no fixed sample has. These layers have such defects. "
        "Hypothesis looked for each of them with twenty seeds, with the number of examples that the tests "
        "of a layer draw by default. The last column is what it printed, after making the example as small "
        "as it can.\n\n" + "\n".join(rows) + f"\n\nKeras {first['keras']}."
    )


def _property(each, kills) -> str:
    statement, _, rest = (inspect.getdoc(each.check) or "").partition("\n")
    statement = statement.replace("<", "&lt;")  # which would begin an HTML tag
    lines = [f"### {each.id} {each.name.replace('_', ' ')}\n", statement]
    lines += [rest] if rest.strip() else []
    lines.append(f"\nTier *{each.tier}*: {TIERS[each.tier]}.")
    lines += [f"If it fails: {each.hint}"] if each.hint else []
    seen = _seen(each.id, kills)
    if seen:
        body = textwrap.indent("\n".join(seen), "    ")
        layers = "layer" if len(seen) == 1 else "layers"
        lines.append(f'\n??? note "{len(seen)} broken {layers} to detect"\n\n{body}')
    return "\n".join(lines)


def _seen(id, kills) -> list[str]:
    from layerzoo.testing.proof.broken import BROKEN

    lines = []
    for entry in BROKEN:
        if entry.kill != id:
            continue
        what = (entry.card.layer.__doc__ or "").strip().split("\n")[0]
        name = f"{entry.card.name} ({id})"
        alone = [
            NAMES[backend]
            for backend, matrix in kills.items()
            if matrix["broken"].get(name, {}).get("killed_by") == [id]
        ]
        tail = f" Detected only by {id} on {', '.join(alone)}." if alone else ""
        lines.append(f"- `{entry.card.name}`: {what}{tail}")
    return lines
