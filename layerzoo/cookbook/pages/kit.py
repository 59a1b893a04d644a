"""The page of the conformance kit's properties, from their docstrings and the committed kill matrix."""

import inspect
import textwrap

GROUPS = {
    "shape": "Shapes and dtypes",
    "build": "Building",
    "config": "Configs",
    "files": "Files and copies",
    "gradient": "Gradients",
    "numerics": "Numbers",
    "mask": "Masks",
    "independence": "What may depend on what",
    "randomness": "Randomness and state",
    "execution": "Execution",
    "dropin": "Use in models",
    "caller": "Towards the caller",
    "others": "Properties of plug-ins",
}
TIERS = {
    "must": "every layer must keep it",
    "should": "a layer that breaks it is limited, not wrong",
    "trait": "looked at where the card claims it",
}
GENERATED = "<!-- Written by `layerzoo docs` from the docstrings of the kit. Edit those. -->"
NAMES = {"tensorflow": "TensorFlow", "jax": "JAX", "torch": "PyTorch"}


def properties_page(kills: dict) -> str:
    """Every property: what it claims, how it is held, and which broken layers it sees.

    Args:
        kills: The kill matrix of each backend, by the backend's name.
    """
    from layerzoo.testing import PROPERTIES

    ours = [each for each in PROPERTIES.values() if "." not in each.id]
    parts = [
        "---\ntitle: Properties\n---",
        f"# The properties of the kit\n\n{GENERATED}",
        f"{len(ours)} properties, each a small function with an id that stays. `layerzoo explain G1` prints "
        "one with its source; `layerzoo check --only G1` looks at it alone. A property never accuses a "
        "sound layer, and each is the only one that sees some broken layer.",
        _proof(kills),
    ]
    for group in sorted({each.group for each in ours}, key=list(GROUPS).index):
        parts.append(f"## {GROUPS[group]}")
        parts += [_property(each, kills) for each in ours if each.group == group]
    return "\n\n".join(part for part in parts if part) + "\n"


def _proof(kills) -> str:
    if not kills:
        return ""
    rows = [
        "| | Broken layers | seen | Sound layers | accused |",
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
        "The kit comes with layers that each have one defect, and with sound ones of the same kinds. Every "
        "property runs on every one of them; the result is committed and compared in every run of the tests. "
        "A broken layer that is not seen on a backend has no defect there.\n\n"
        + "\n".join(rows)
        + f"\n\nKeras {versions}."
    )


def _property(each, kills) -> str:
    statement, _, rest = (inspect.getdoc(each.check) or "").partition("\n")
    lines = [f"### {each.id} {each.name.replace('_', ' ')}\n", statement]
    lines += [rest] if rest.strip() else []
    lines.append(f"\nTier *{each.tier}*: {TIERS[each.tier]}.")
    lines += [f"If it fails: {each.hint}"] if each.hint else []
    seen = _seen(each.id, kills)
    if seen:
        body = textwrap.indent("\n".join(seen), "    ")
        layers = "layer" if len(seen) == 1 else "layers"
        lines.append(f'\n??? note "{len(seen)} broken {layers} that it is there for"\n\n{body}')
    return "\n".join(lines)


def _seen(id, kills) -> list[str]:
    from layerzoo.testing.broken import BROKEN

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
        tail = f" Seen by {id} alone on {', '.join(alone)}." if alone else ""
        lines.append(f"- `{entry.card.name}`: {what}{tail}")
    return lines
