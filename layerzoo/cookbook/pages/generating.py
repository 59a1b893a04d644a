"""What was measured of generating step by step, between the parts of a page that are written by hand."""

import re

from layerzoo.cookbook.evidence.plot import DASHES, LETTER, PLOT, axis, in_short, svg, text
from layerzoo_entry.backends import NAMES

PAGE = "guide/generating.md"
PICTURE = "assets/generating.svg"
TITLE = "ms for one more character, by the length of the text"
HEAD, HEIGHT, FOOT, LINE, GAP, SAMPLE = 30, 220, 52, 16, 22, 34


def generating_page(page: str, found: dict[str, dict]) -> str:
    """The page with its blocks written anew.

    Args:
        page: The text of the page. Each block is between two comments with its name.
        found: What `layerzoo generate` measured: the text, and the steps by the backend.
    """
    made = {"text": _text, "plot": _plot, "memory": _memory, "cost": _cost}
    for name, write in made.items():
        begin = f"<!-- {name}: written by `layerzoo docs` -->"
        end = f"<!-- {name}: end -->"
        block = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
        lines = f"{begin}\n\n{write(found)}\n\n{end}".replace("\\", r"\\")
        page = block.sub(lines, page)
    return page


def on_backends(found: dict[str, dict]) -> dict[str, dict]:
    """What was measured on each backend, by its name."""
    return {name: found[name] for name in NAMES if name in found}


def generating_picture(found: dict[str, dict]) -> str:
    """The plot of the time for a character with a state and without, on each backend; empty if none is."""
    lines = {
        (NAMES[name], key): {row["length"]: row[f"{key}_ms"] for row in each["lengths"]}
        for name, each in on_backends(found).items()
        for key in ("with", "without")
    }
    if not lines:
        return ""
    values = [value for line in lines.values() for value in line.values()]
    left = max(len(in_short(value)) for value in axis(values, 0, 1)[1]) * LETTER + 12
    right, last = left + PLOT, HEAD + HEIGHT
    up, ticks = axis(values, last, HEAD)
    lengths = list(next(iter(lines.values())))
    along = {x: left + 12 + (PLOT - 24) * i / (len(lengths) - 1) for i, x in enumerate(lengths)}
    shapes = [text(0, 14, TITLE, "ev-head")]
    for tick in ticks:
        shapes.append(f'<path class="ev-grid" d="M{left:.1f} {up(tick):.1f}H{right:.1f}"/>')
        shapes.append(text(left - 6, up(tick) + 4, in_short(tick), anchor="end"))
    shapes += [text(x, last + 18, str(length), anchor="middle") for length, x in along.items()]
    shapes.append(text(left + PLOT / 2, last + 36, "characters so far", anchor="middle"))
    ends: list[list] = []
    for index, ((name, key), line) in enumerate(lines.items()):
        points = [(along[length], up(value)) for length, value in line.items()]
        way = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
        own = ' class="ev-own"' if key == "with" else ""
        dash = DASHES[index // 2]
        path = f'<path class="ev-line" stroke-dasharray="{dash}" d="M{way}"/>'
        shapes.append(f"<g{own}>{path}</g>")
        words = f"{name}, {'with' if key == 'with' else 'without'} a state"
        ends.append([points[-1][1], *points[-1], words, own, dash])
    ends.sort(key=lambda end: end[0])
    for i in range(1, len(ends)):  # labels must not cover one another
        ends[i][0] = max(ends[i][0], ends[i - 1][0] + LINE)
    at = right + GAP
    for y, x_end, y_end, words, own, dash in ends:
        lead = f'<path class="ev-range" d="M{x_end + 3:.1f} {y_end:.1f}L{at - 4:.1f} {y:.1f}"/>'
        sample = f'<path class="ev-line" stroke-dasharray="{dash}" d="M{at:.1f} {y:.1f}h28"/>'
        label = text(at + SAMPLE, y + 4, words, fill=True)
        shapes.append(f"<g{own}>{lead}{sample}{label}</g>")
    width = at + SAMPLE + max(len(end[3]) for end in ends) * LETTER
    story = "; ".join(
        f"{name} {key} a state: "
        + ", ".join(f"{value:.2f} ms at {length}" for length, value in line.items())
        for (name, key), line in lines.items()
    )
    return svg(TITLE, f"{story}.", shapes, width, max(last + FOOT, ends[-1][0] + 12))


def _text(found):
    each = found.get("text")
    if not each:
        return ""
    text = f"{each['prompt']}{each['text']}"
    return (
        f"A model with {each['parameters']:,} weights was trained for {each['steps']} steps in "
        f"{each['seconds']} s on {NAMES[each['backend']]}, on {each['characters']:,} characters, of which "
        f"the last twentieth was held out. Its loss there is {each['loss']:.2f} nats a character; guessing "
        f"among 128 would be 4.85. At temperature {each['temperature']:g} it continued the prompt "
        f'`"{each["prompt"]}"` like this:\n\n```text\n{text.rstrip()}\n```'
    )


def _plot(found):
    backends = on_backends(found)
    if not backends:
        return ""
    told = []
    for name, each in backends.items():
        first, last = each["lengths"][0], each["lengths"][-1]
        told.append(
            f"{NAMES[name]}: {first['with_ms']:.1f} ms and {last['with_ms']:.1f} ms with a state, "
            f"{first['without_ms']:.1f} ms and {last['without_ms']:.0f} ms without"
        )
    lengths = next(iter(backends.values()))["lengths"]
    return (
        f'<figure class="lz-picture">\n--8<-- "docs/{PICTURE}"\n</figure>\n\n'
        f"At {lengths[0]['length']} and at {lengths[-1]['length']:,} characters, {'; '.join(told)}. "
        f"The state has room for {lengths[-1]['length']:,} characters at each length."
    )


def _memory(found):
    backends = on_backends(found)
    if not backends:
        return ""
    lines = ["| Layer | Bytes of a step | State with room for 4,096 |", "| --- | ---: | ---: |"]
    for row in next(iter(backends.values()))["memory"]:
        step = f"{row['step_bytes']:,}" if row["step_bytes"] else "none"
        lines.append(f"| {row['layer']} | {step} | {row['bytes'] / 1e6:.2f} MB |")
    return "\n".join(lines)


def _cost(found):
    parts = []
    for name, each in on_backends(found).items():
        lines = [
            "| Batch | Run as | Step, ms | KerasHub, ms | Ratio | Reading at copy rate, ms | Ratio | "
            "Whole pass, ms |",
            f"| ---: | --- |{' ---: |' * 6}",
        ]
        for row in each["steps"]:
            hub = row["hub_ms"]
            cells = [
                str(row["batch"]),
                row["way"],
                f"{row['ms']:.2f}",
                f"{hub:.2f}" if hub else "",
                f"{row['ms'] / hub:.2f}" if hub else "",
                f"{row['bound_ms']:.2f}",
                f"{row['ms'] / row['bound_ms']:.2f}",
                f"{row['whole_ms']:,.0f}",
            ]
            lines.append(f"| {' | '.join(cells)} |")
        parts += [f"**{NAMES[name]}**", "\n".join(lines), _told(each)]
    return "\n\n".join(parts)


def _told(each):
    """Rates, traces, difference and versions, in sentences."""
    rows = each["steps"]
    copies = [
        f"{row['copy_gb_per_s']:.1f} GB/s (batch {row['batch']}, {row['way']})" for row in rows
    ]
    traces = sorted({row["traces"] for row in rows if row["traces"] is not None})
    differences = [row["difference"] for row in rows if row["difference"] is not None]
    prompts = [row["prompt_ms"] for row in rows if row["prompt_ms"]]
    text = f"Copy rate: {', '.join(copies)}."
    if prompts:
        text += f" 4,096 steps at once into a new state, batch 1: {prompts[0]:,.0f} ms."
    if traces:
        text += f" Traces of a step: {', '.join(map(str, traces))}."
    if differences:
        text += f" Largest difference from KerasHub's outputs: {max(differences):.0e}."
    versions = ", ".join(f"{name} {version}" for name, version in each["versions"].items())
    return f"{text} Measured on {each['date']} ({each['machine']}; {versions})."
