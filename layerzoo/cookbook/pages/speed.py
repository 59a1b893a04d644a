"""The page about the cost of large work, made from a report of `layerzoo bench --long`."""

from layerzoo.cookbook.pages.kit import NAMES

GENERATED = "<!-- Written by `layerzoo docs` from `measured/cost_long`. -->"


def speed_page(long: dict) -> str:
    """Time and memory of whole training steps, compared with the alternative.

    Args:
        long: What `cookbook.bench.measure` returns for each layer, by the layer's name.
    """
    parts = [
        "# What attention costs",
        GENERATED,
        "Attention compares each step with every other step. Most implementations write all these scores "
        "to memory, keep them for the gradient, and compute even the scores that causality forbids. "
        "`layerzoo.ops.attention` works in blocks of queries. A block reads only the keys that it can "
        "see, and its scores are discarded when it is done; the gradient computes them again. The result "
        "is exact. This saves memory, and the time that memory traffic takes.",
        "The times are for a whole training step of the layer, including its projections: forward, and the "
        "gradient of inputs and weights. The two sides run in turn, because the machine is shared. *Ratio* "
        "is the layer's time divided by the other's, as the median over the pairs of runs. Below 1, the "
        "layer is faster. *Peak* is the most memory that a step takes beyond what the process had before, "
        "with each side in its own process. *Share* is the rate of the step's necessary matrix products, "
        "as a share of the rate at which the machine multiplied two matrices with 2,048 rows in the same "
        "run.",
    ]
    for name, found in long.items():
        rows = found["rows"]
        beside = {row["instead"] for row in rows} - {""}
        parts.append(f"## `{name}`")
        parts += [f"Instead: {what}." for what in sorted(beside)]
        parts.append(_table(rows))
    report = next(iter(long.values()))
    versions = ", ".join(f"{name} {version}" for name, version in report["versions"].items())
    parts.append(
        f"Measured on {report['date']} with {NAMES[report['backend']]} ({report['machine']}; {versions}). "
        "To repeat the measurement:\n\n```bash\nlayerzoo bench "
        f"{' '.join(long)} --long --measured measured\nlayerzoo docs\n```"
    )
    return "\n\n".join(parts) + "\n"


def _table(rows):
    head = "| Work | ms | Instead, ms | Ratio | Peak MB | Instead, MB | Matrix rate, GF/s | Share |"
    lines = [head, "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"]
    for row in rows:
        cells = [
            row["work"].replace(", jit True", ", compiled").replace(", alone True", ""),
            f"{row['ms']:,.1f}",
            *(_number(row[key], form) for key, form in (("ms_instead", ",.1f"), ("ratio", ".2f"))),
            *(_number(row[key], ",.0f") for key in ("peak_mb", "peak_mb_instead")),
            f"{row['matrix_gflops']:,.0f}",
            _number(row["share"], ".0%"),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _number(value, form):
    return "" if value is None else f"{value:{form}}"
