"""The plot of the gradient on its way through deep stacks, as SVG in the colour of the text around it."""

import itertools
from collections.abc import Mapping, Sequence

from layerzoo.cookbook.depth.declared import CLAIMS
from layerzoo.cookbook.depth.running import WHEN
from layerzoo.cookbook.evidence.plot import DASHES, LETTER, PLOT, axis, in_short, svg, text
from layerzoo.cookbook.evidence.running import number

HEIGHT, HEAD, FOOT, LINE, GAP, SAMPLE = 190, 30, 54, 16, 30, 34
TITLE = "norm of the gradient at each block, divided by that at the last"

Lines = Mapping[str, Sequence[float | None]]
"""A number for each block from the last to the first, by the stack's name; None cannot be drawn."""


def curves(found: Mapping[str, dict], when: str) -> dict[str, list[float | None]]:
    """The line of each stack in float32: the gradient at each block, relative to the last.

    Args:
        found: What `measure` returned, by the layers' names. A single layer's stacks are named without it.
        when: `"start"` of the training or its `"end"`.
    """
    lines = {}
    for name, each in found.items():
        for row in each["rows"]:
            if row["policy"] == "float32":
                norms = row["gradient"][when][::-1]
                label = row["stack"] if len(found) == 1 else _named(name, row["stack"])
                lines[label] = [norm / norms[0] if norm and norms[0] else None for norm in norms]
    return lines


def plot(title: str, found: Mapping[str, dict]) -> str:
    """Draw the gradient at the start, and below it after the training; empty if it has no finite number.

    The last block is on the left, because the gradient comes from there. What stays between 0.1 and 10, the
    shaded region, is drawn in the accent colour.

    Args:
        title: What is stacked.
        found: As for `curves`.
    """
    panels = {words: curves(found, when) for when, words in WHEN.items()}
    values = [
        value
        for lines in panels.values()
        for line in lines.values()
        for value in line
        if value is not None
    ]
    if not values:
        return ""
    least, most = CLAIMS["keeps its size"]
    reach = [*values, least / 10, most * 10]  # so wide that the axis has powers of ten
    left = max(len(in_short(value)) for value in axis(reach, 0, 1)[1]) * LETTER + 12
    shapes, bottom = [], 0.0
    for words, lines in panels.items():
        drawn, bottom = _panel(words, lines, reach, left, bottom)
        shapes += drawn
    names = panels[WHEN["start"]]
    width = left + PLOT + GAP + SAMPLE + max(map(len, names)) * LETTER
    return svg(f"{title}: {TITLE}", _story(panels), shapes, max(width, 480), bottom)


def _panel(words: str, lines: Lines, reach, left, top) -> tuple[list[str], float]:
    """The shapes of one of the two plots, and where it ends."""
    least, most = CLAIMS["keeps its size"]
    first, count = top + HEAD, max(map(len, lines.values()))
    right, last = left + PLOT, first + HEIGHT
    up, ticks = axis(reach, last, first)
    along = lambda index: left + PLOT * index / max(1, count - 1)  # noqa: E731
    shapes = [
        text(0, top + 14, f"{TITLE}, {words}", "ev-head"),
        f'<rect x="{left:.1f}" y="{up(most):.1f}" width="{PLOT}" '
        f'height="{up(least) - up(most):.1f}" fill-opacity=".07"/>',
    ]
    for value in ticks:
        shapes.append(f'<path class="ev-grid" d="M{left:.1f} {up(value):.1f}H{right:.1f}"/>')
        shapes.append(text(left - 6, up(value) + 4, in_short(value), anchor="end"))
    for block in sorted({1, count, *range(16, count - 7, 16)}):
        shapes.append(text(along(count - block), last + 18, str(block), anchor="middle"))
    shapes.append(text(left + PLOT / 2, last + 34, "block", anchor="middle"))
    ends = []
    for index, (name, line) in enumerate(lines.items()):
        points = [(along(i), up(value)) for i, value in enumerate(line) if value is not None]
        if not points:
            continue
        way = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
        own = ' class="ev-own"' if line[-1] and least <= line[-1] <= most else ""
        dash = DASHES[index % len(DASHES)]
        path = f'<path class="ev-line" stroke-dasharray="{dash}" d="M{way}"/>'
        shapes.append(f"<g{own}>{path}</g>")
        ends.append([points[-1][1], *points[-1], name, own, dash])
    ends.sort()
    for before, after in itertools.pairwise(ends):  # labels must not cover one another
        after[0] = max(after[0], before[0] + LINE)
    at = right + GAP
    for y, x_end, y_end, name, own, dash in ends:
        lead = f'<path class="ev-range" d="M{x_end + 3:.1f} {y_end:.1f}L{at - 4:.1f} {y:.1f}"/>'
        sample = f'<path class="ev-line" stroke-dasharray="{dash}" d="M{at:.1f} {y:.1f}h28"/>'
        label = text(at + SAMPLE, y + 4, name, fill=True)
        shapes.append(f"<g{own}>{lead}{sample}{label}</g>")
    return shapes, max(last + FOOT, ends[-1][0] + 16 if ends else 0)


def _named(name, stack):
    return name if stack == name or stack.startswith(f"{name}(") else f"{name}, {stack}"


def _story(panels):
    told = [
        f"{words}: {'; '.join(f'{name} {number(line[-1])}' for name, line in lines.items())}"
        for words, lines in panels.items()
    ]
    return f"At the first block, divided by that at the last: {'. '.join(told)}."
