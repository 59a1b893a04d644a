"""The boxes of a picture that a person would draw of what `call` does.

A layer inside the layer is a box, and so is a call of a function of a module named `ops`, whatever it
does inside. What is left is arithmetic, drawn small, and moves, drawn as arrows. Where more than `MOST`
boxes are left, the picture is made simpler step by step.
"""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import keras

from layerzoo.cookbook.drawing.layout import Box
from layerzoo.cookbook.drawing.tracing import Shapes, Site, Source, Step, run, written

MOST, LONGEST = 12, 10
"""A picture with more boxes, or more of them one below the other, is made simpler."""

MOVES = {
    "at_least_float32",
    "broadcast_to",
    "cast",
    "convert_to_tensor",
    "expand_dims",
    "flatten",
    "get_item",
    "moveaxis",
    "pad",
    "padded",
    "ravel",
    "repeat",
    "reshape",
    "split",
    "split_groups",
    "squeeze",
    "stack",
    "stop_gradient",
    "swapaxes",
    "tile",
    "transpose",
    "unstack",
    "view",
}
"""Operations and functions that only move values, whatever is inside: an arrow goes through them."""

APPLY = {"activated"}
"""Functions that apply another one, which is drawn in their place unless a card names them."""

WORDS = {
    "add": "+",
    "subtract": "−",
    "multiply": "×",
    "divide": "÷",
    "true_divide": "÷",
    "negative": "−",
    "matmul": "matrix product",
    "einsum": "sum of products",
    "re_lu": "ReLU",
    "re_lu6": "ReLU6",
    "leaky_re_lu": "leaky ReLU",
    "silu": "SiLU",
    "gelu": "GELU",
    "elu": "ELU",
    "selu": "SELU",
    "amax": "maximum",
    "max": "maximum",
    "amin": "minimum",
    "min": "minimum",
    "where": "select",
    "less": "<",
    "greater": ">",
    "attention_with_scores": "attention",
    "attention_from": "attention",
    "cross_attention_from": "attention",
}
"""What is written for an operation or a function, where its name does not say it well."""

NUMBER = re.compile(r"[ _]\d+$")

ADVANCES = {".,:;'|!Iijl ": 4.0, "()[]/ftr": 5.0, "mwMW%@→+−×÷<>=": 11.8}
"""Upper bounds for the widths of characters, in the widest of the common fonts at 12 pixels."""


@dataclass(eq=False)
class Part(Box):
    """A box of the composed picture, or a small round one for arithmetic."""

    name: str = ""
    pieces: list[tuple[str, bool]] = field(default_factory=list)
    site: Site = ()
    time: float = -1

    @property
    def title(self) -> str:
        """What stands on the box, without what is quiet."""
        return " ".join(text for text, quiet in self.pieces if not quiet)

    @property
    def lines(self) -> list[list[tuple[str, bool]]]:
        """One line."""
        return [self.pieces]

    @property
    def width(self) -> float:
        """Width in pixels."""
        text = " ".join(text for text, _ in self.pieces)
        if self.kind == "small" and len(text) == 1:
            return self.height
        return 14 + sum(map(_advance, text))

    @property
    def height(self) -> float:
        """Height in pixels."""
        return 22 if self.kind in ("small", "source") else 25


def _advance(character):
    for characters, width in ADVANCES.items():
        if character in characters:
            return width
    return 9.4 if character.isupper() else 7.7


def compose(
    layer: keras.layers.Layer, shapes: Shapes, names: Mapping[str, str], simpler: int = 0
) -> list[Box]:
    """The boxes of `layer.call`, each after those that it reads.

    Args:
        layer: The layer.
        shapes: The size of every axis letter of each input.
        names: The words for a box by the name of the layer, function, weight or operation.
        simpler: With 1, weights are left out, however few boxes there are, with 2 arithmetic too, and with 3
            the class of a layer that has a name.
    """
    try:
        steps, ends = run(layer, shapes, sources=True, methods=names)
    except Exception:  # a `call` may do more with a weight than `keras.ops` does: draw it without
        steps, ends = run(layer, shapes)
    parts = _parts(steps, ends, names, shapes)
    parts = _without(parts, MOVES)
    for step in (_roll, _without_joins, _fold_runs, _fold_onto_layers):
        if len(parts) > MOST or _longest(parts) > LONGEST:
            parts = step(parts)
    for level, step in enumerate((_without_weights, _without_arithmetic), 1):
        if len(parts) > MOST or simpler >= level:
            parts = step(parts)
    return list(_without_kinds(parts) if simpler >= 3 else parts)


def _longest(parts):
    """How many parts stand one below the other."""
    depth: dict[Box, int] = {}
    for part in parts:
        depth[part] = 1 + max((depth[read] for read in part.reads), default=0)
    return max(depth.values())


def _parts(steps, ends, names, shapes):
    """One part for each call of a function that is a box, and for each other step."""
    mixed = {call.frame for step in steps if step.is_layer for call in step.calls}
    made: dict[Any, Part] = {}
    of: dict[Step, Part] = {}
    for step in sorted(steps, key=lambda step: step.time):
        call = _function(step, mixed, names)
        key = call.frame if call else step
        if key not in made:
            made[key] = _part_of_call(call, names) if call else _part(step, names, shapes)
        part = of[step] = made[key]
        part.time = step.time
        part.reads += [of[read] for read in step.reads if of[read] not in (part, *part.reads)]
    outputs = [
        Part(
            "output", reads=[of[step]], pieces=[("outputs", False), (written(shape, shapes), True)]
        )
        for step, shape in ends
    ]
    return [*sorted(made.values(), key=lambda part: part.time), *outputs]


def _function(step, mixed, names):
    """The outermost call around a step that is a box, or None. One that runs a layer is none.

    A function that has the name of an operation is drawn as that operation.
    """
    for call in [] if step.is_layer else step.calls:
        plain = call.name in MOVES | APPLY or hasattr(keras.ops, call.name)
        box = call.of_ops and not plain
        if call.frame not in mixed and (box or call.name in names):
            return call
    return None


def _part_of_call(call, names):
    words = names.get(call.name) or WORDS.get(call.name) or _words(call.name, names)
    pieces = [(words, False)]
    return Part("function", name=call.name, pieces=pieces, site=call.site)


def _part(step, names, shapes):
    operation, place = step.operation, dict(name=step.name, site=step.site)
    if isinstance(operation, Source):
        words = _words(operation.source, names)
        if operation.kind == "method":
            return Part("function", pieces=[(words, False)], **place)
        if operation.kind == "draw":
            return Part("source", pieces=[("random numbers", False)], **place)
        learned = "learned " if operation.kind == "trainable" else ""
        return Part("source", pieces=[(f"{learned}{words}", False)])
    if step.node.is_input:
        shape = written(step.node.outputs[0].shape, shapes)
        return Part("input", pieces=[(operation.name, False), (shape, True)])
    if not step.is_layer:
        operands = (*step.node.arguments.args, *step.node.arguments.kwargs.values())
        words = _arithmetic(step.name, operands, names)
        moves = [call.name for call in step.calls if call.name in MOVES]
        return Part(
            "small", pieces=[(words, False)], **{**place, "name": (moves or [step.name])[0]}
        )
    kind = type(operation).__name__
    if step.made_up_name:
        return Part("layer", pieces=[(_words(kind, names), False)], **place)
    kind = kind.replace("Normalization", "Norm").replace("EinsumDense", "Dense")
    pieces = [(_words(operation.name, names), False), (kind, True)]
    pieces = pieces[:1] if pieces[0][0] == pieces[1][0] else pieces
    return Part("layer", pieces=pieces, **place)


def _words(name, names):
    """The words for a name, or for the name without the number at its end, or the name itself."""
    return names.get(name) or names.get(NUMBER.sub("", name)) or name.replace("_", " ")


def _arithmetic(name, operands, names):
    """What is written for an operation; arithmetic, with what it takes besides what an arrow brings."""
    words = names.get(name) or WORDS.get(name) or name.replace("_", " ")
    if len(words) > 1 or len(operands) != 2:
        return words
    left, right = (_operand(operand) for operand in operands)
    return f"{left} {words} {right}".strip()


def _operand(operand):
    if isinstance(operand, keras.KerasTensor):
        return ""
    if isinstance(operand, keras.Variable):
        return operand.name
    if getattr(operand, "shape", None) == ():
        operand = keras.ops.convert_to_numpy(operand).item()
    return f"{operand:.4g}" if isinstance(operand, int | float) else "constant"


def _without(parts, names):
    """Without the small parts of these names: what reads one of them reads what that reads."""
    kept: list[Part] = []
    instead: dict[Box, list[Box]] = {}
    for part in parts:
        part.reads = _distinct(one for read in part.reads for one in instead[read])
        gone = part.kind == "small" and part.name in names
        instead[part] = part.reads if gone else [part]
        kept += [] if gone else [part]
    return _reached(kept)


def _reached(parts):
    """The parts that an output depends on, and the inputs."""
    reached = {part for part in parts if part.kind in ("input", "output")}
    for part in reversed(parts):
        if part in reached:
            reached.update(part.reads)
    return [part for part in parts if part in reached]


def _distinct(parts):
    return list(dict.fromkeys(parts))


def _merged(parts, into):
    """Without the parts that are merged into an earlier one, which is read in their place."""
    for part in parts:
        part.reads = _distinct(into.get(read, read) for read in part.reads)
    return _reached([part for part in parts if part not in into])


def _roll(parts):
    """The rounds of a loop as its first round, if all do the same and each takes up the one before it."""
    alike: dict[tuple, list[Part]] = {}
    for part in parts:
        if part.site:
            words = tuple(NUMBER.sub("", text) for text, _ in part.pieces)
            alike.setdefault((part.site, words), []).append(part)
    counts = Counter(len(same) for same in alike.values() if len(same) > 1)
    times = counts.most_common(1)[0][0] if counts else 0
    loop = [same for same in alike.values() if len(same) == times]
    rounds = {part: (same[0], k) for same in loop for k, part in enumerate(same)}
    links = {part: [rounds[read] for read in part.reads if read in rounds] for part in rounds}
    within = {part: [one for one, k in links[part] if k == rounds[part][1]] for part in rounds}
    across = [
        rounds[part][1] - k for part in rounds for _, k in links[part] if k != rounds[part][1]
    ]
    if set(across) != {1} or any(
        within[part] != within[first] for part, (first, _) in rounds.items()
    ):
        return parts
    for first, *_ in loop:
        first.times = times
        first.pieces = [(NUMBER.sub("", text), quiet) for text, quiet in first.pieces]
    return _merged(parts, {part: first for part, (first, k) in rounds.items() if k})


def _without_joins(parts):
    return _without(parts, {"concatenate"})


def _without_weights(parts):
    sources = {part for part in parts if part.kind == "source" and not part.name}
    for part in parts:
        part.reads = [read for read in part.reads if read not in sources]
    return [part for part in parts if part not in sources]


def _without_arithmetic(parts):
    return _without(parts, {part.name for part in parts if part.kind == "small"})


def _without_kinds(parts):
    for part in parts:
        if part.kind == "layer":
            part.pieces = [(text, quiet) for text, quiet in part.pieces if not quiet or text == "→"]
    return parts


def _fold_runs(parts):
    """Arithmetic that follows arithmetic stands on one part."""
    return _folded(parts, ("small",))


def _fold_onto_layers(parts):
    """Arithmetic that follows a box stands on it."""
    return _folded(parts, ("small", "layer", "function"))


def _folded(parts, onto):
    into: dict[Part, Part] = {}
    for part in parts:
        if part.kind != "small" or len(part.reads) != 1:
            continue
        above = part.reads[0]
        readers = [other for other in parts if above in other.reads]
        above = into.get(above, above)
        if len(readers) == 1 and above.kind in onto and above.times == part.times:
            above.pieces += [("→", True), *part.pieces]
            into[part] = above
    return _merged(parts, into)
