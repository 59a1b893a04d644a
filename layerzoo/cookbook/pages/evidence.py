"""The section of a layer's page that says whether a claim of its paper was reproduced."""

import re

from layerzoo.cookbook.evidence.running import (
    conditions,
    median,
    number,
    reproduced,
    rows,
    spread,
    verdict,
)
from layerzoo_entry.backends import NAMES


def evidence_section(found: dict, picture: str, numbers: str) -> str:
    """The section.

    Args:
        found: What `layerzoo evidence` measured.
        picture: The lines that show the plot.
        numbers: The lines that show `table_of_numbers`.
    """
    claim = f"**The claim.** {found['claim']} ({linked(found['source'])})"
    mark = "" if reproduced(found) else "The claim did not show here. "
    listed = "\n".join(f"- {sentence}: {count} seeds." for sentence, count in conditions(found))
    versions = ", ".join(f"{name} {version}" for name, version in found["versions"].items())
    return "\n\n".join(
        [
            "## Does it do what the paper says?",
            claim,
            f"**The experiment.** {found['task']}",
            picture,
            f"**The result.** {mark}{verdict(found)}\n\n{listed}",
            *([f"**Limits.** {found['limits']}"] if found["limits"] else []),
            numbers,
            f"```bash\nKERAS_BACKEND={found['backend']} {found['command']}\n```",
            f"Measured on {found['date']} with {NAMES[found['backend']]} ({found['machine']}; {versions}) in "
            f"{found['cpu_seconds']:,} s of CPU time. Another machine, backend or version gives somewhat "
            "other numbers.",
        ]
    )


def table_of_numbers(found: dict) -> str:
    """The number of each seed, as a table."""
    x = [found["x"].capitalize()] if found["x"] else []
    heads = ["Model", *x, *(f"Seed {seed}" for seed in found["seeds"]), "Median", "Spread"]
    ruled = ["---"] * (1 + len(x)) + ["---:"] * (len(heads) - 1 - len(x))
    lines = [heads, ruled]
    for model, at, values in rows(found):
        cells = [number(each) for each in (*values, median(values), spread(values))]
        lines.append([model.replace("|", r"\|"), *([at] if x else []), *cells])
    table = "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)
    what = f"{found['metric'].capitalize()}: {found['better']} is better."
    return f"{what} *Spread* is the largest number minus the smallest.\n\n{table}"


def linked(source: str) -> str:
    """A source with links to the papers in it."""
    return re.sub(r"arXiv:(\d{4}\.\d{4,5})", r"[arXiv:\1](https://arxiv.org/abs/\1)", source)
