"""A picture of a layer, drawn from what its own `call` does.

`call` runs on symbolic tensors, which remember the operations they came from. Layers inside the layer
become filled boxes, runs of plain operations one outlined box. The rest is a layered drawing: a
box stands one rank below the lowest box it reads, and an arrow over several ranks gets a lane of its own.
"""

import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from itertools import pairwise

import keras

CHARACTER = 7.3  # width of a character of the 12 pixel monospace font
LINE, MARGIN, GAP, LANE = 17, 12, 30, 26
MOVES = {
    "cast",
    "expand_dims",
    "get_item",
    "moveaxis",
    "reshape",
    "squeeze",
    "swapaxes",
    "transpose",
}
"""Operations that compute nothing."""

HEADS = {"einsum", "matmul"}  # never folded: what such a layer is about


@dataclass(eq=False)
class Box:
    """One box: what is written on it, what it reads, and where it stands."""

    kind: str  # "input", "layer", "op", "output" or "lane"
    names: list[str] = field(default_factory=list)
    detail: str = ""
    shape: str = ""
    reads: list["Box"] = field(default_factory=list)
    rank: int = 0
    x: float = 0.0

    @property
    def title(self) -> str:
        """The names on the box, in the order in which they happen."""
        return " → ".join(self.names)

    @property
    def lines(self) -> list[str]:
        """The text on the box: a title, and below it what it is and gives."""
        if self.kind in ("input", "output"):
            return [f"{self.title} {self.shape}"]
        same = self.detail and self.shape in [read.shape for read in self.reads]
        return [self.title, " · ".join(filter(None, (self.detail, "" if same else self.shape)))]

    @property
    def width(self) -> float:
        """Width in pixels."""
        return 0 if self.kind == "lane" else 24 + CHARACTER * max(map(len, self.lines))

    @property
    def height(self) -> float:
        """Height in pixels."""
        return 0 if self.kind == "lane" else 12 + LINE * len(self.lines)


def draw(layer: keras.layers.Layer, shapes: Mapping[str, Mapping[str, int]]) -> str:
    """Draw what a layer computes in training, as SVG that takes the colour of the text around it.

    Args:
        layer: The layer. It is built if it is not; its variables keep their values.
        shapes: The size of every axis letter of each input, as in `{"inputs": {"b": 3, "t": 7, "d": 16}}`.
            Sizes that occur again in the picture are written as their letters, and multiples of odd
            ones as multiples of theirs: large primes cannot be mistaken.

    Returns:
        An `<svg>` element without line breaks inside text, ids or references to anything outside.
    """
    boxes = _fold(_record(layer, shapes))
    ranks = _rank(boxes)
    _order(ranks)
    _place(ranks)
    return _svg(type(layer).__name__, boxes, ranks)


def snake_case(name: str) -> str:
    """`SelfAttention` as `self_attention`: the name that Keras gives to a layer without one."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=.)(?=[A-Z][a-z])", "_", name).lower()


def _record(layer, shapes):
    """The boxes of `layer.call`, in an order in which each comes after what it reads."""
    letters = {size: letter for sizes in shapes.values() for letter, size in sizes.items()}
    inputs = {
        name: keras.Input(batch_shape=tuple(sizes.values()), dtype=layer.compute_dtype, name=name)
        for name, sizes in shapes.items()
    }
    layer(**inputs)
    training = {"training": True} if "training" in inspect.signature(layer.call).parameters else {}
    before = [(variable, variable.numpy()) for variable in layer.non_trainable_variables]
    outputs = layer.call(**inputs, **training)
    for variable, value in before:  # a draw moves the state of a seed
        variable.assign(value)

    boxes: dict[int, Box] = {}

    def visit(tensor):
        history = tensor._keras_history
        node = history.operation._inbound_nodes[history.node_index]
        if id(node) not in boxes:
            reads = [visit(read) for read in node.arguments.keras_tensors]
            boxes[id(node)] = _box(node, list(dict.fromkeys(reads)), letters)
        return boxes[id(node)]

    ends = [
        Box("output", ["outputs"], shape=_shape(tensor.shape, letters), reads=[visit(tensor)])
        for tensor in keras.tree.flatten(outputs)
    ]
    return [*boxes.values(), *ends]


def _box(node, reads, letters):
    operation = node.operation
    shape = " ".join(dict.fromkeys(_shape(output.shape, letters) for output in node.outputs))
    if node.is_input:
        return Box("input", [operation.name], shape=shape)
    kind = type(operation).__name__
    snake = snake_case(kind)
    if not isinstance(operation, keras.layers.Layer):
        operands = (*node.arguments.args, *node.arguments.kwargs.values())
        detail = ", ".join(filter(None, (_operand(operand, letters) for operand in operands)))
        detail = getattr(operation, "subscripts", detail and f"with {detail}")
        return Box("op", [snake], detail, shape, reads)
    if getattr(operation, "rate", None) == 0:
        return reads[0]
    if re.fullmatch(rf"{snake}(_\d+)?", operation.name):  # the name that Keras made up
        return Box("layer", [kind], "", shape, reads)
    return Box("layer", [operation.name], kind, shape, reads)


def _shape(shape, letters):
    return f"({', '.join(_size(size, letters) for size in shape)})"


def _size(size, letters):
    """A size as its letter, or as a multiple of a letter that stands for an odd size."""
    if size in letters:
        return letters[size]
    for one, letter in letters.items():
        if one % 2 and one > 1 and size and size % one == 0:
            return f"{size // one}{letter}"
    return str(size)


def _operand(operand, letters):
    """What an operation reads beside the results of others: a number, a variable or a tensor."""
    if isinstance(operand, float):
        return f"{operand:.4g}"
    if isinstance(operand, keras.Variable):
        return operand.name
    if isinstance(operand, keras.KerasTensor) or not hasattr(operand, "shape"):
        return ""
    return f"tensor {_shape(operand.shape, letters)}"


def _fold(boxes):
    """Without moves, and runs of plain operations as one box, unless too little would be left."""
    boxes = list(dict.fromkeys(boxes))
    kept = [box for box in boxes if not MOVES & set(box.names)]
    reads = {box: list(dict.fromkeys(_unmoved(read) for read in box.reads)) for box in kept}
    into: dict[Box, Box] = {}
    for box in kept:
        for above in reads[box]:
            alone = len(reads[box]) == 1 == sum(above in others for others in reads.values())
            if alone and _is_plain(box) and _is_plain(above):
                into[box] = into.get(above, above)
    if len(kept) - len(into) < 5:
        return boxes
    for box, run in into.items():
        run.names += box.names
        run.shape, run.detail = box.shape, ""
    kept = [box for box in kept if box not in into]
    for box in kept:
        box.reads = list(dict.fromkeys(into.get(read, read) for read in reads[box]))
    return kept


def _unmoved(box):
    while MOVES & set(box.names):
        box = box.reads[0]
    return box


def _is_plain(box):
    return box.kind == "op" and not HEADS & set(box.names)


def _rank(boxes):
    """The ranks from the top, with a lane box on every rank that an arrow passes."""
    ranks: list[list[Box]] = []
    for box in boxes:
        box.rank = max((read.rank + 1 for read in box.reads), default=0)
        ranks += [[]] * (box.rank + 1 - len(ranks))
        ranks[box.rank] = [*ranks[box.rank], box]
    for box in boxes:
        for place, read in enumerate(box.reads):
            for rank in range(read.rank + 1, box.rank):
                read = Box("lane", shape=read.shape, reads=[read], rank=rank)
                ranks[rank] = [*ranks[rank], read]
            box.reads[place] = read
    return ranks


def _order(ranks):
    """Order the boxes of each rank so that few arrows cross."""
    best, least = [list(rank) for rank in ranks], _crossings(ranks)
    for sweep in range(8):
        downwards = sweep % 2 == 0
        for rank in range(1, len(ranks)) if downwards else range(len(ranks) - 2, -1, -1):
            beside = ranks[rank - 1 if downwards else rank + 1]
            ranks[rank].sort(key=lambda box: _middle(box, beside))
        if (crossings := _crossings(ranks)) < least:
            best, least = [list(rank) for rank in ranks], crossings
    ranks[:] = best


def _middle(box, beside):
    """The mean place, in the rank beside it, of the boxes that a box is joined to."""
    places = [i for i, other in enumerate(beside) if other in box.reads or box in other.reads]
    return sum(places) / max(1, len(places))


def _crossings(ranks):
    count = 0
    for upper, lower in pairwise(ranks):
        arrows = [(upper.index(read), i) for i, box in enumerate(lower) for read in box.reads]
        count += sum(a < c and b > d for a, b in arrows for c, d in arrows)
    return count


def _place(ranks):
    """Move each column sideways to the mean of its neighbours, keeping order and distance."""
    columns = _columns(ranks)
    apart = _distances(ranks, columns)
    places = _pack(columns, apart)
    if places is None:  # two columns cross
        columns = {box: box for rank in ranks for box in rank}
        apart = _distances(ranks, columns)
        places = _pack(columns, apart)
    arrows = [(columns[read], columns[box]) for box in columns for read in box.reads]
    for _ in range(100):
        for column in places:
            near = [places[b] for a, b in arrows if a is column and b is not column]
            near += [places[a] for a, b in arrows if b is column and a is not column]
            if near:
                low = [places[a] + distance for (a, b), distance in apart.items() if b is column]
                high = [places[b] - distance for (a, b), distance in apart.items() if a is column]
                wanted = max([sum(near) / len(near), *low])
                places[column] = min([wanted, *high])
    for box, column in columns.items():
        box.x = places[column]


def _columns(ranks):
    """The first box of the column of each: boxes in a row that read only each other share one."""
    columns: dict[Box, Box] = {}
    for upper, rank in zip([[], *ranks], ranks, strict=False):
        for box in rank:
            alone = len(box.reads) == 1 and sum(box.reads[0] in other.reads for other in rank) == 1
            columns[box] = columns[box.reads[0]] if alone and box.reads[0] in upper else box
    return columns


def _distances(ranks, columns):
    """How far apart the middles of columns that stand side by side must be."""
    apart: dict[tuple[Box, Box], float] = {}
    for rank in ranks:
        for left, right in pairwise(rank):
            pair = columns[left], columns[right]
            apart[pair] = max(apart.get(pair, 0), (left.width + right.width) / 2 + LANE)
    return apart


def _pack(columns, apart):
    """Every column as far to the left as it goes, or None where there is no end to it."""
    places = dict.fromkeys(columns.values(), 0.0)
    for _ in range(len(places) + 1):
        moved = False
        for (left, right), distance in apart.items():
            if places[right] < places[left] + distance:
                places[right], moved = places[left] + distance, True
        if not moved:
            return places
    return None


def _svg(name, boxes, ranks):
    left = min(box.x - box.width / 2 for rank in ranks for box in rank) - MARGIN
    right = max(box.x + box.width / 2 for rank in ranks for box in rank) + MARGIN
    tops, top = [], MARGIN
    for rank in ranks:
        tops.append(top)
        top += max(box.height for box in rank) + GAP
    bottoms = [top + max(box.height for box in rank) for top, rank in zip(tops, ranks, strict=True)]
    width, height = right - left, bottoms[-1] + MARGIN

    shapes = []
    for rank in ranks:
        for box in rank:
            box.x -= left
    for rank in ranks[1:]:
        for box in rank:
            for read in box.reads:
                shapes.append(_arrow(read, box, ranks, tops, bottoms))
            if box.kind == "lane":
                shapes.append(_path(f"M{box.x:.1f} {tops[box.rank]:.1f}V{bottoms[box.rank]:.1f}"))
    for box in boxes:
        middle = (tops[box.rank] + bottoms[box.rank]) / 2
        shapes.append(_rectangle(box, middle))
    story = "; ".join(_sentence(box) for box in boxes)
    return (
        f'<svg class="lz-drawing" xmlns="http://www.w3.org/2000/svg" role="img" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}" '
        f'font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, monospace" font-size="12" '
        f'fill="none" stroke="currentColor" aria-label="What {name} computes">'
        f"<title>What {name} computes</title><desc>{escape(story)}.</desc>{''.join(shapes)}</svg>"
    )


def _sentence(box):
    reads = []
    for read in box.reads:
        while read.kind == "lane":
            read = read.reads[0]
        reads.append(read.title)
    label = " ".join(line for line in box.lines if line)
    return f"{label}, from {' and '.join(reads)}" if reads else label


def _port(box, others, other):
    """Where, along its side, a box is joined to another: in the order in which the others stand."""
    others = sorted(others, key=lambda each: each.x)
    step = min(22, box.width / (len(others) + 1))
    return box.x + step * (others.index(other) - (len(others) - 1) / 2)


def _arrow(start, end, ranks, tops, bottoms):
    x1 = _port(start, [box for box in ranks[end.rank] if start in box.reads], end)
    x2 = _port(end, end.reads, start)
    y1, y2 = bottoms[start.rank], tops[end.rank]
    begin = y1 if start.kind == "lane" else (tops[start.rank] + y1 + start.height) / 2
    finish = y2 if end.kind == "lane" else (y2 + bottoms[end.rank] - end.height) / 2
    bend = f"C{x1:.1f} {(y1 + y2) / 2:.1f} {x2:.1f} {(y1 + y2) / 2:.1f} {x2:.1f} {y2:.1f}"
    path = _path(f"M{x1:.1f} {begin:.1f}V{y1:.1f}{bend}V{finish:.1f}")
    if end.kind == "lane":
        return path
    return path + (
        f'<path d="M{x2 - 4:.1f} {finish - 7:.1f}L{x2:.1f} {finish:.1f}L{x2 + 4:.1f} {finish - 7:.1f}z" '
        'fill="currentColor" stroke="none"/>'
    )


def _path(data):
    return f'<path d="{data}" stroke-opacity=".55"/>'


def _rectangle(box, middle):
    x, y = box.x - box.width / 2, middle - box.height / 2
    radius = box.height / 2 if box.kind in ("input", "output") else 5
    filled = ' fill="currentColor" fill-opacity=".1"' if box.kind == "layer" else ""
    parts = [
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{box.width:.1f}" height="{box.height:.1f}" '
        f'rx="{radius:.1f}" stroke-opacity=".55"{filled}/>'
    ]
    for index, line in enumerate(box.lines):
        quiet = ' opacity=".7"' if index else ' font-weight="600"'
        baseline = y + 6 + LINE * index + 12.5
        parts.append(
            f'<text x="{box.x:.1f}" y="{baseline:.1f}" text-anchor="middle" fill="currentColor" '
            f'stroke="none"{quiet}>{escape(line)}</text>'
        )
    return f'<g class="lz-{box.kind}">{"".join(parts)}</g>'
