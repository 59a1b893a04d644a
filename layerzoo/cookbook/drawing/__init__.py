"""Two pictures of a layer, both drawn from what its own `call` does.

`picture` is composed for a reader: a box for each layer and each function that `call` uses. `trace`
shows every operation. Each is SVG that takes the colour of the text around it.
"""

import re
from collections.abc import Mapping

import keras

from layerzoo.cookbook.drawing.composed import compose
from layerzoo.cookbook.drawing.layout import lay_out
from layerzoo.cookbook.drawing.operations import every_operation
from layerzoo.cookbook.drawing.svg import SANS, svg
from layerzoo.cookbook.drawing.tracing import Shapes, snake_case

__all__ = ["picture", "snake_case", "trace"]

WIDEST = 319
HIGHEST = 408
"""The size in pixels that leaves letters of 10 pixels on the narrowest card of a list. A larger picture is
made simpler."""


def picture(
    layer: keras.layers.Layer, shapes: Shapes, names: Mapping[str, str] | None = None
) -> str:
    """Draw what a layer does in training as a figure of a paper would show it.

    Each layer that `call` uses is a box, and so is each call of a function from a module named `ops`.
    Arithmetic between them is drawn small. What only moves values is not drawn.

    Args:
        layer: The layer. It is built if it is not; its variables keep their values.
        shapes: The size of every axis letter of each input, as in `{"inputs": {"b": 3, "t": 7, "d": 16}}`.
            A size that occurs again is written as its letter, a multiple of an odd size as a multiple of
            its letter. Take large primes, which no other size equals by chance.
        names: The words for a box by the name of the layer inside, the function, the weight or the
            operation, as in `Card.boxes`. A function or method that stands here becomes a box, whatever
            module it lives in.

    Returns:
        An `<svg>` element without line breaks inside text, ids or references to anything outside.
    """
    drawn = ""
    for simpler in range(4):
        boxes = compose(layer, shapes, names or {}, simpler)
        if drawn and len(boxes) < 3:  # nothing is left between the inputs and the outputs
            break
        ranks = lay_out(boxes, beside=14)
        drawn = svg(type(layer).__name__, boxes, ranks, SANS)
        _, _, width, height = map(float, re.findall('viewBox="([^"]*)"', drawn)[0].split())
        if width <= WIDEST and height <= HIGHEST:
            break
    return drawn


def trace(layer: keras.layers.Layer, shapes: Shapes) -> str:
    """Draw every operation that a layer runs in training.

    Layers inside the layer become filled boxes, a run of plain operations one outlined box.

    Args:
        layer: As in `picture`.
        shapes: As in `picture`.

    Returns:
        An `<svg>` element, as from `picture`.
    """
    boxes = every_operation(layer, shapes)
    ranks = lay_out(boxes)
    return svg(type(layer).__name__, boxes, ranks)
