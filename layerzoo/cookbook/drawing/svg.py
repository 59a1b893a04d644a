"""A picture as SVG, in the colour of the text around it."""

from html import escape
from typing import NamedTuple

from layerzoo.cookbook.drawing.layout import Box

LINE, BRACE = 17, 27


class Style(NamedTuple):
    """How a picture looks; lengths are in pixels."""

    font: str
    weight: int
    margin: float
    below: float  # between two ranks
    tip: tuple[float, float]  # of an arrow: half its width, and its height


MONOSPACE = Style("ui-monospace, SFMono-Regular, Menlo, Consolas, monospace", 600, 12, 30, (4, 7))
SANS = Style("system-ui, Segoe UI, Roboto, Helvetica, Arial, sans-serif", 500, 3, 15, (3, 6))


def svg(name: str, boxes: list[Box], ranks: list[list[Box]], style: Style = MONOSPACE) -> str:
    """Write boxes that have their places as SVG.

    Args:
        name: The layer's name.
        boxes: The boxes, without lanes.
        ranks: The boxes and lanes of each rank.
        style: How it looks.
    """
    left = min(box.x - box.width / 2 for rank in ranks for box in rank) - style.margin
    right = max(box.x + box.width / 2 for rank in ranks for box in rank) + style.margin
    tops, top = [], style.margin
    for rank in ranks:
        tops.append(top)
        top += max(box.height for box in rank) + style.below
    bottoms = [top + max(box.height for box in rank) for top, rank in zip(tops, ranks, strict=True)]
    width, height = right - left, bottoms[-1] + style.margin

    shapes = []
    for rank in ranks:
        for box in rank:
            box.x -= left
    for rank in ranks[1:]:
        for box in rank:
            for read in box.reads:
                shapes.append(_arrow(read, box, ranks, tops, bottoms, style.tip))
            if box.kind == "lane":
                shapes.append(_path(f"M{box.x:.1f} {tops[box.rank]:.1f}V{bottoms[box.rank]:.1f}"))
    for box in boxes:
        middle = (tops[box.rank] + bottoms[box.rank]) / 2
        shapes.append(_rectangle(box, middle, style.weight))
    loop = [box for box in boxes if box.times > 1]
    story = "; ".join([*(_sentence(box) for box in boxes), *_loop_sentence(loop)])
    if loop:
        first, last = min(box.rank for box in loop), max(box.rank for box in loop)
        beside = [box.x + box.width / 2 for rank in ranks[first : last + 1] for box in rank]
        edge = max(beside) + BRACE / 3
        shapes.append(_brace(edge, tops[first], bottoms[last], f"× {loop[0].times}"))
        width = max(width, edge + BRACE + style.margin)
    return (
        f'<svg class="lz-drawing" xmlns="http://www.w3.org/2000/svg" role="img" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}" '
        f'font-family="{style.font}" font-size="12" '
        f'fill="none" stroke="currentColor" aria-label="What {name} computes">'
        f"<title>What {name} computes</title><desc>{escape(story)}.</desc>{''.join(shapes)}</svg>"
    )


def _sentence(box):
    reads = []
    for read in box.reads:
        while read.kind == "lane":
            read = read.reads[0]
        reads.append(read.title)
    label = " ".join(text for line in box.lines for text, _ in line if text)
    return f"{label}, from {' and '.join(reads)}" if reads else label


def _loop_sentence(loop):
    if loop:
        yield (
            f"from {loop[0].title} to {loop[-1].title} {loop[0].times} times, "
            "each time with what the last time gave"
        )


def _brace(x, y1, y2, words):
    """A line beside the boxes between two heights, and how often they run."""
    line = _path(f"M{x - 5:.1f} {y1:.1f}H{x:.1f}V{y2:.1f}H{x - 5:.1f}")
    return (
        f'<g class="lz-times">{line}<text x="{x + 5:.1f}" y="{(y1 + y2) / 2 + 4:.1f}" '
        f'fill="currentColor" stroke="none">{words}</text></g>'
    )


def _port(box, others, other):
    """Where, along its side, a box is joined to another: in the order in which the others stand."""
    others = sorted(others, key=lambda each: each.x)
    step = min(22, box.width / (len(others) + 1))
    return box.x + step * (others.index(other) - (len(others) - 1) / 2)


def _arrow(start, end, ranks, tops, bottoms, tip):
    x1 = _port(start, [box for box in ranks[end.rank] if start in box.reads], end)
    x2 = _port(end, end.reads, start)
    y1, y2 = bottoms[start.rank], tops[end.rank]
    begin = y1 if start.kind == "lane" else (tops[start.rank] + y1 + start.height) / 2
    finish = y2 if end.kind == "lane" else (y2 + bottoms[end.rank] - end.height) / 2
    bend = f"C{x1:.1f} {(y1 + y2) / 2:.1f} {x2:.1f} {(y1 + y2) / 2:.1f} {x2:.1f} {y2:.1f}"
    path = _path(f"M{x1:.1f} {begin:.1f}V{y1:.1f}{bend}V{finish:.1f}")
    if end.kind == "lane":
        return path
    half, back = tip[0], finish - tip[1]
    return path + (
        f'<path d="M{x2 - half:.1f} {back:.1f}L{x2:.1f} {finish:.1f}L{x2 + half:.1f} {back:.1f}z" '
        'fill="currentColor" stroke="none"/>'
    )


def _path(data):
    return f'<path d="{data}" stroke-opacity=".55"/>'


def _rectangle(box, middle, weight):
    x, y = box.x - box.width / 2, middle - box.height / 2
    radius = box.height / 2 if box.kind in ("input", "output", "source", "small") else 5
    filled = ' fill="currentColor" fill-opacity=".1"' if box.kind == "layer" else ""
    dashed = ' stroke-dasharray="4 3"' if box.kind == "source" else ""
    parts = [
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{box.width:.1f}" height="{box.height:.1f}" '
        f'rx="{radius:.1f}" stroke-opacity=".55"{filled}{dashed}/>'
    ]
    first = y + (box.height - LINE * len(box.lines)) / 2 + 12.5
    for index, line in enumerate(box.lines):
        parts.append(_text(line, box.x, first + LINE * index, weight))
    return f'<g class="lz-{box.kind}">{"".join(parts)}</g>'


def _text(line, x, baseline, weight):
    """A line of text: as one where it is one piece, and else piece by piece."""
    style = {False: f' font-weight="{weight}"', True: ' opacity=".7"'}
    text, quiet = line[0]
    if len(line) == 1:
        inside, outer = escape(text), style[quiet]
    else:
        pieces = (f"<tspan{style[quiet]}>{escape(text)}</tspan>" for text, quiet in line)
        inside, outer = " ".join(pieces), ""
    return (
        f'<text x="{x:.1f}" y="{baseline:.1f}" text-anchor="middle" fill="currentColor" '
        f'stroke="none"{outer}>{inside}</text>'
    )
