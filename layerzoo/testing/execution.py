"""Execution: compiled and eager are the same, and a trace leaves nothing behind."""

import numpy as np

from layerzoo.testing import compat
from layerzoo.testing.case import flat
from layerzoo.testing.closeness import demand_close
from layerzoo.testing.outcomes import demand
from layerzoo.testing.properties import declare

TRIES, BATCH = 4, 16  # dropping one sample in five never shows with probability 1e-6
FUSED = "float32, 1e-5 for operations that the compiler fuses"


@declare("X1", cost="dear")
def jit_equals_eager(case):
    """Compiled, the layer computes what it does eagerly, call by call; its noise differs call by call."""
    layer = case.built()
    arrays = case.arrays(values="normal")
    eager = case.run(layer, arrays)
    compiled = compat.compiled(layer, arrays, training=False)
    for turn in ("first",) if case.traits.state == "always" else ("first", "second"):
        for a, e in zip(flat(compiled()), eager, strict=True):
            demand_close(a, e, 1e-5, f"  the {turn} compiled call, and eager", FUSED)
    for a, e in zip(case.run(layer, arrays), eager, strict=True):
        demand_close(a, e, 0, "  eager after compiling, and before", "equal bits")
    if case.traits.stochastic:
        step = compat.compiled(layer, case.arrays(values="normal", b=BATCH), training=True)
        outputs = [flat(step()) for _ in range(TRIES)]
        repeated = all(all(map(np.array_equal, each, outputs[0])) for each in outputs[1:])
        demand(not repeated, f"  {TRIES} compiled calls in training gave the same numbers")


@declare("X3", cost="fair")
def no_tracer_leak(case):
    """After a traced call no attribute holds a tensor of it, and the layer runs and prints."""
    layer = case.built()
    arrays = case.arrays()
    compat.trace(layer, arrays, training=True)
    for inner in compat.sublayers(layer):
        for name, value in vars(inner).items():
            held = [x for x in _contents(value) if compat.is_traced(x)]
            if name == "_losses":  # those of the last call, which Keras keeps until the next
                continue
            demand(not held, f"  {inner.name}.{name} holds a tensor of a call that is over")
    case.call(layer, arrays)
    demand(repr(layer), "  the layer has no text form")


def _contents(value):
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple | set):
        return [each for inner in value for each in _contents(inner)]
    return [value]
