"""The boxes of a picture of every operation that `call` runs."""

from dataclasses import dataclass, field

import keras

from layerzoo.cookbook.drawing.layout import Box
from layerzoo.cookbook.drawing.tracing import Shapes, Step, run, written

CHARACTER = 7.3  # width of a character of the 12 pixel monospace font
LINE = 17
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
class OperationBox(Box):
    """A box with what is written on it."""

    names: list[str] = field(default_factory=list)
    detail: str = ""

    @property
    def title(self) -> str:
        """The names on the box, in the order in which they happen."""
        return " → ".join(self.names)

    @property
    def lines(self) -> list[list[tuple[str, bool]]]:
        """A title, and below it what the box is and gives."""
        if self.kind in ("input", "output"):
            return [[(f"{self.title} {self.shape}", False)]]
        same = self.detail and self.shape in [read.shape for read in self.reads]
        below = " · ".join(filter(None, (self.detail, "" if same else self.shape)))
        return [[(self.title, False)], [(below, True)]]

    @property
    def width(self) -> float:
        """Width in pixels."""
        return 24 + CHARACTER * max(len(text) for line in self.lines for text, _ in line)

    @property
    def height(self) -> float:
        """Height in pixels."""
        return 12 + LINE * len(self.lines)


def every_operation(layer: keras.layers.Layer, shapes: Shapes) -> list[Box]:
    """The boxes of `layer.call`, each after those that it reads."""
    steps, ends = run(layer, shapes)
    boxes: dict[Step, Box] = {}
    for step in steps:
        boxes[step] = _box(step, [boxes[read] for read in step.reads], shapes)
    outputs: list[Box] = [
        OperationBox("output", written(shape, shapes), [boxes[step]], names=["outputs"])
        for step, shape in ends
    ]
    return _fold([*boxes.values(), *outputs])


def _box(step, reads, shapes):
    node, operation = step.node, step.operation
    shape = " ".join(dict.fromkeys(written(output.shape, shapes) for output in node.outputs))
    if node.is_input:
        return OperationBox("input", shape, names=[operation.name])
    if not step.is_layer:
        operands = (*node.arguments.args, *node.arguments.kwargs.values())
        detail = ", ".join(filter(None, (_operand(operand, shapes) for operand in operands)))
        detail = getattr(operation, "subscripts", detail and f"with {detail}")
        return OperationBox("op", shape, reads, names=[step.name], detail=detail)
    kind = type(operation).__name__
    if step.made_up_name:
        return OperationBox("layer", shape, reads, names=[kind])
    return OperationBox("layer", shape, reads, names=[operation.name], detail=kind)


def _operand(operand, shapes):
    """What an operation reads beside the results of others: a number, a variable or a tensor."""
    if isinstance(operand, float):
        return f"{operand:.4g}"
    if isinstance(operand, keras.Variable):
        return operand.name
    if isinstance(operand, keras.KerasTensor) or not hasattr(operand, "shape"):
        return ""
    return f"tensor {written(operand.shape, shapes)}"


def _fold(boxes):
    """Without moves, and runs of plain operations as one box, unless too little would be left."""
    kept = [box for box in boxes if not _moves(box)]
    reads = {box: list(dict.fromkeys(_unmoved(read) for read in box.reads)) for box in kept}
    into: dict[OperationBox, OperationBox] = {}
    for box in kept:
        for above in reads[box]:
            alone = len(reads[box]) == 1 == sum(above in others for others in reads.values())
            if alone and _is_plain(box) and _is_plain(above):
                into[box] = into.get(above, above)
    if len(kept) - len(into) < 5:
        return boxes
    for box, head in into.items():
        head.names += box.names
        head.shape, head.detail = box.shape, ""
    kept = [box for box in kept if box not in into]
    for box in kept:
        box.reads = list(dict.fromkeys(into.get(read, read) for read in reads[box]))
    return kept


def _unmoved(box):
    while _moves(box):
        box = box.reads[0]
    return box


def _moves(box):
    return box.kind == "op" and not MOVES.isdisjoint(box.names)


def _is_plain(box):
    return box.kind == "op" and not HEADS & set(box.names)
