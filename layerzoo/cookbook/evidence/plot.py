"""The plot of an experiment, as SVG in the colour of the text around it.

The layer's own model is drawn in the accent colour, and what it is compared with in the colour of the text.
"""

import itertools
import json
import math
from collections.abc import Callable
from html import escape

from layerzoo.cookbook.evidence.running import median, number, rows, verdict

PLOT, TOP, ROW = 330, 34, 30
LETTER = 6.9
"""The mean width of a letter, in pixels."""

MARGIN = 8

DASHES = ("none", "7 4", "2 3", "9 3 2 3", "4 2", "12 4")
STYLE = """
.ev-own { color: var(--md-accent-fg-color, #0b7a75) }
.ev-grid { stroke: currentColor; stroke-opacity: .15 }
.ev-line { fill: none; stroke: currentColor; stroke-width: 2 }
.ev-range { stroke: currentColor; stroke-width: 1.5; stroke-opacity: .6 }
.ev-dot { fill: currentColor; fill-opacity: .55 }
.ev-head { font-weight: 600 }
"""
ALONE = (
    "svg { color: #1f2328; background: #fff; font-family: system-ui, sans-serif }\n"
    "@media (prefers-color-scheme: dark) "
    "{ svg { color: #e6e6e6; background: #16191d; --md-accent-fg-color: #57c5bd } }\n"
)


def plot(name: str, found: dict) -> str:
    """Draw what an experiment found; empty if it has no finite number.

    With `x`, there is a line for each model: the median over the seeds, and the range from the smallest to
    the largest number. Otherwise there is a row for each model: a dot for each seed, and a bar at the median.

    Args:
        name: The layer's name.
        found: What `reproduce` returned.
    """
    values = [value for _, _, each in rows(found) for value in each if value is not None]
    if not values:
        return ""
    draw = _lines if found["x"] else _dots
    return draw(name, found, values)


def standalone(drawing: str) -> str:
    """A plot as a file of its own, with a background, light or dark as the reader's system is."""
    return drawing.replace("<style>\n", f"<style>\n{ALONE}", 1)


def _dots(name, found, values):
    models = list(found["results"])
    left = max(len(model) for model in models) * LETTER + 14
    place, ticks = axis(values, left, left + PLOT)
    bottom = TOP + ROW * len(models)
    shapes = [text(0, 14, found["metric"], "ev-head")]
    for tick in ticks:
        x = place(tick)
        shapes.append(f'<path class="ev-grid" d="M{x:.1f} {TOP - 6}V{bottom}"/>')
        shapes.append(text(x, bottom + 16, in_short(tick), anchor="middle"))
    for row, model in enumerate(models):
        y = TOP + ROW * (row + 0.5)
        each = found["results"][model]
        own = ' class="ev-own"' if row == 0 else ""
        marks = [
            f'<circle class="ev-dot" cx="{place(value):.1f}" cy="{y:.1f}" r="5"/>'
            for value in each
            if value is not None
        ]
        middle = median(each)
        if middle is not None:
            marks.append(f'<path class="ev-line" d="M{place(middle):.1f} {y - 10:.1f}v20"/>')
        label = text(0, y + 4, model, "ev-head" if row == 0 else "", fill=True)
        shapes.append(f"<g{own}>{label}{''.join(marks)}</g>")
        shapes.append(text(left + PLOT + 8, y + 4, number(middle)))
    return _svg(name, found, shapes, left + PLOT + 8 + LETTER * 10, bottom + 24)


def _lines(name, found, values):
    models = list(found["results"])
    xs = [json.loads(x) for x in next(iter(found["results"].values()))]
    left, height = max(len(in_short(t)) for t in _ticks(values)) * LETTER + 12, 210
    vertical, ticks = axis(values, TOP + height, TOP)
    horizontal = _along(xs, left + 12, left + PLOT)
    bottom = TOP + height
    shapes = [text(0, 14, found["metric"], "ev-head")]
    for tick in ticks:
        y = vertical(tick)
        shapes.append(f'<path class="ev-grid" d="M{left:.1f} {y:.1f}H{left + PLOT}"/>')
        shapes.append(text(left - 6, y + 4, in_short(tick), anchor="end"))
    shapes += [text(horizontal(x), bottom + 20, in_short(x), anchor="middle") for x in xs]
    shapes.append(text(left + PLOT / 2, bottom + 38, found["x"], anchor="middle"))
    ends = []
    for index, model in enumerate(models):
        points, marks = [], []
        for x, each in zip(xs, found["results"][model].values(), strict=True):
            middle = median(each)
            if middle is None:
                continue
            at = horizontal(x)
            points.append((at, vertical(middle)))
            marks.append(
                f'<path class="ev-range" d="M{at:.1f} {vertical(min(each)):.1f}'
                f'V{vertical(max(each)):.1f}"/>'
                f'<circle class="ev-dot" cx="{at:.1f}" cy="{points[-1][1]:.1f}" r="3.5"/>'
            )
        if not points:
            continue
        way = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
        dash = DASHES[index % len(DASHES)]
        line = f'<path class="ev-line" stroke-dasharray="{dash}" d="M{way}"/>'
        own = ' class="ev-own"' if index == 0 else ""
        shapes.append(f"<g{own}>{line}{''.join(marks)}</g>")
        ends.append([points[-1][1], model, index])
    ends.sort()
    for before, after in itertools.pairwise(ends):  # labels must not cover one another
        after[0] = max(after[0], before[0] + 16)
    for y, model, index in ends:
        kind = ("ev-head", ' class="ev-own"') if index == 0 else ("", "")
        label = text(left + PLOT + 12, y + 4, model, kind[0], fill=True)
        shapes.append(f"<g{kind[1]}>{label}</g>")
    width = left + PLOT + 12 + max(len(model) for model in models) * LETTER + 8
    return _svg(name, found, shapes, width, max(bottom + 46, ends[-1][0] + 12 if ends else 0))


def _svg(name, found, shapes, width, height):
    title = f"{name}: {found['metric']}"
    told = [
        f"{model}{f', {x}' if x else ''}: {number(median(each))}" for model, x, each in rows(found)
    ]
    story = f"Medians of {len(found['seeds'])} seeds. {'; '.join(told)}. {verdict(found)}"
    return svg(title, story, shapes, max(width, len(found["metric"]) * LETTER), height)


def svg(title: str, story: str, shapes: list[str], width: float, height: float) -> str:
    """A drawing with a margin around it; `story` tells a reader who cannot see it what it shows."""
    width += 2 * MARGIN
    height += 2 * MARGIN
    return (
        f'<svg class="lz-drawing" xmlns="http://www.w3.org/2000/svg" role="img" '
        f'viewBox="{-MARGIN} {-MARGIN} {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}" '
        f'font-family="inherit" font-size="12" fill="currentColor" aria-label="{escape(title)}">'
        f"<title>{escape(title)}</title><desc>{escape(story)}</desc>"
        f"<style>{STYLE}</style>\n" + "\n".join(shapes) + "\n</svg>\n"
    )


def text(x, y, words, kind="", anchor="start", fill=False):
    """Words at a place; with `fill`, in the colour of the group that they are in."""
    kind = f' class="{kind}"' if kind else ""
    where = f' text-anchor="{anchor}"' if anchor != "start" else ""
    colour = ' fill="currentColor"' if fill else ""
    return f'<text{kind} x="{x:.1f}" y="{y:.1f}"{where}{colour}>{escape(words)}</text>'


def axis(values, start: float, end: float) -> tuple[Callable[[float], float], list[float]]:
    """Where a number stands between two pixels, and the numbers to mark."""
    ticks = _ticks(values)
    low, high = min(ticks[0], *values), max(ticks[-1], *values)
    of = math.log10 if _wide(values) else float
    return lambda value: start + (of(value) - of(low)) / (of(high) - of(low)) * (end - start), ticks


def _wide(values):
    """Whether numbers differ so much that only their logarithms can be drawn."""
    return min(values) > 0 and max(values) / min(values) > 100


def _ticks(values):
    low, high = min(values), max(values)
    if _wide(values):
        span = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        every = max(1, math.ceil(len(span) / 6))
        return [10.0**power for power in span[::every]] + ([10.0 ** span[-1]] if every > 1 else [])
    if 0 <= low < 0.6 * high:
        low = 0.0  # near zero, lengths can be compared
    rough = (high - low or abs(high) or 1.0) / 4
    unit = 10.0 ** math.floor(math.log10(rough))
    step = next(unit * factor for factor in (1, 2, 2.5, 5, 10) if unit * factor >= rough)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(step * count, 10) for count in range(first, max(last, first + 1) + 1)]


def _along(xs, start, end):
    """Where each `x` stands: evenly, because most of them double."""
    step = (end - start - 12) / max(1, len(xs) - 1)
    return lambda x: start + step * xs.index(x)


def in_short(value: float) -> str:
    """A number beside an axis."""
    return f"{value:.0e}" if value and not 1e-3 <= abs(value) < 1e5 else f"{value:g}"
