"""The page about the cost of large work, made from a report of `layerzoo bench --long`."""

from html import escape

from layerzoo.cookbook.pages.layer import in_words, measured_on
from layerzoo_entry.backends import NAMES

GENERATED = "<!-- Written by `layerzoo docs` from `measured/cost_long`. -->"
PICTURE = "assets/speed.svg"
LAYER = "SelfAttention"
"""The layer of the picture."""


def speed_page(long: dict) -> str:
    """Time and memory of whole training steps, compared with the alternative.

    Args:
        long: What `cookbook.bench.measure_on` returns for each layer, by the layer's name.
    """
    parts = [
        "# What attention costs",
        GENERATED,
        "Attention compares each step with every other step. Most implementations write all these scores "
        "to memory, keep them for the gradient, and compute even the scores that causality forbids. "
        "`layerzoo.ops.attention` works in blocks of queries. A block reads only the keys that it can "
        "see, and its scores are discarded when it is done; the gradient computes them again. The result "
        "is exact. This saves memory, and the time that memory traffic takes.",
    ]
    if speed_picture(long):
        parts += [
            f"Time and memory of a training step of `{LAYER}`, divided by those of the layer that Keras has "
            "for the same work. Left of the line, ours takes less.",
            f'<figure class="lz-picture">\n--8<-- "docs/{PICTURE}"\n</figure>',
        ]
    parts.append(
        "The times are for a whole training step of the layer, including its projections: forward, and the "
        "gradient of inputs and weights. The two sides run in turn, because the machine is shared. *Ratio* "
        "is the layer's time divided by the other's, as the median over the pairs of runs. Below 1, the "
        "layer is faster. *Peak* is the most memory that a step takes beyond what the process had before, "
        "with each side in its own process. *Share* is the rate of the step's necessary matrix products, "
        "as a share of the rate at which the machine multiplied two matrices with 2,048 rows in the same "
        "run. *Compiled* is TensorFlow's graph compiled with XLA.",
    )
    parts += _backends(long.get(LAYER, {"rows": []})["rows"])
    for name, found in long.items():
        rows = found["rows"]
        parts.append(f"## `{name}`")
        alone = [row for row in rows if not row["instead"]]
        for instead in dict.fromkeys(row["instead"] for row in rows if row["instead"]):
            parts.append(f"Instead: {instead}.")
            parts += _tables([row for row in rows if row["instead"] == instead])
        if alone:
            parts += [f"Without a comparison, `{name}` alone.", *_tables(alone)]
        parts.append(measured_on(found))
    parts.append(
        "To repeat the measurements:\n\n```bash\n"
        "layerzoo bench --long --backend all --measured measured\nlayerzoo docs\n```"
    )
    return "\n\n".join(parts) + "\n"


def _backends(rows):
    """What each backend does, and the times of the others as multiples of TensorFlow's."""
    times = {(row["backend"], row["work"]): row["ms"] for row in rows}
    parts = [
        "## What each backend does",
        "On TensorFlow and JAX, the gradient of a block is written by hand. It computes the scores again, "
        "and a block waits for an earlier one, so that few scores are in memory at once. On JAX, it has no "
        "derivative in forward mode if there are several blocks; their gradient has one.\n\n"
        "On TensorFlow, memory depends on how a step runs. In a graph, as in `fit`, a block is discarded "
        "before the next but one begins. XLA chooses the order itself and keeps more blocks at once, so a "
        "compiled step gains less. Run eagerly, a `GradientTape` records the operations inside the blocks "
        "too, and keeps the scores of all of them until it is released: train long sequences with `fit` or "
        "in a `tf.function`.\n\n"
        "On PyTorch, blocks go through `scaled_dot_product_attention`, which chooses among PyTorch's fused "
        "kernels. Attention with dropout on scores, or with a bias that trains, does not: "
        "it runs the formula in blocks.",
    ]
    for backend in ("jax", "torch"):
        factors = [
            f"{ms / times['tensorflow', work]:.2f} ({work})"
            for (each, work), ms in times.items()
            if each == backend and ("tensorflow", work) in times
        ]
        if factors:
            parts.append(
                f"Time with {NAMES[backend]} divided by the time with TensorFlow: "
                f"{', '.join(factors)}.".replace(", alone True", "")
            )
    return parts


BAR, ROW, GROUP, LABEL = 170, 18, 26, 90


def speed_picture(long: dict) -> str:
    """An SVG of the ratios of time and of peak memory, by work and backend. Empty without such rows."""
    rows = [row for row in long.get(LAYER, {"rows": []})["rows"] if row["ratio"]]
    if not rows:
        return ""
    panels = {
        "Time": [row["ratio"] for row in rows],
        "Peak memory": [_share(row["peak_mb"], row["peak_mb_instead"]) for row in rows],
    }
    scale = BAR / max(1.0, *(x for values in panels.values() for x in values if x is not None))
    order = {backend: i for i, backend in enumerate(NAMES)}
    works = dict.fromkeys(row["work"] for row in rows)
    shapes, told, y = [], [], 30
    for work in works:
        shapes.append(f'<text class="sp-work" x="0" y="{y + 13}">{escape(in_words(work))}</text>')
        y += GROUP - 6
        own = [i for i, row in enumerate(rows) if row["work"] == work]
        for i in sorted(own, key=lambda i: order[rows[i]["backend"]]):
            name = NAMES[rows[i]["backend"]]
            shapes.append(f'<text x="0" y="{y + 12}">{name}</text>')
            said = []
            for panel, (title, values) in enumerate(panels.items()):
                value = values[i]
                if value is None:
                    continue
                left = LABEL + panel * (BAR + 60)
                width = value * scale
                shapes.append(
                    f'<rect class="sp-bar" x="{left}" y="{y + 2}" width="{width:.1f}" height="12"/>'
                    f'<text x="{left + max(width, scale) + 5:.1f}" y="{y + 12}">{value:.2f}</text>'
                )
                said.append(f"{title.lower()} {value:.2f}")
            told.append(f"{in_words(work)}, {name}: {', '.join(said)}")
            y += ROW
        y += 8
    for panel, title in enumerate(panels):
        left = LABEL + panel * (BAR + 60)
        shapes.append(
            f'<text class="sp-work" x="{left}" y="13">{title}</text>'
            f'<path class="sp-one" d="M{left + scale:.1f} 22V{y - 8}"/>'
        )
    width = LABEL + 2 * (BAR + 60)
    title = f"Time and peak memory of {LAYER}, divided by those of the layer that Keras has"
    return (
        f'<svg class="lz-drawing" xmlns="http://www.w3.org/2000/svg" role="img" '
        f'viewBox="0 0 {width} {y}" width="{width}" height="{y}" font-family="inherit" '
        f'font-size="12" fill="currentColor" aria-label="{title}">\n<title>{title}</title>'
        f"<desc>{escape('; '.join(told))}.</desc>\n<style>\n"
        ".sp-bar { fill: var(--md-accent-fg-color, #0b7a75); fill-opacity: 0.75 }\n"
        ".sp-one { stroke: currentColor; stroke-opacity: 0.7; stroke-dasharray: 3 3 }\n"
        ".sp-work { font-weight: 600 }\n</style>\n" + "\n".join(shapes) + "\n</svg>\n"
    )


def _share(part, whole):
    return None if part is None or not whole else part / whole


def _tables(rows):
    """A table for each backend, under its name."""
    by_backend = {
        name: [row for row in rows if row["backend"] == each] for each, name in NAMES.items()
    }
    return [f"**{name}**\n\n{_table(own)}" for name, own in by_backend.items() if own]


def _table(rows):
    head = "| Work | ms | Instead, ms | Ratio | Peak MB | Instead, MB | Matrix rate, GF/s | Share |"
    lines = [head, "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"]
    for row in rows:
        cells = [
            in_words(row["work"]),
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
