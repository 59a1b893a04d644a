"""Shapes and dtypes: what a layer says of its output before it computes it."""

import keras

from layerzoo.testing import compat
from layerzoo.testing.outcomes import demand
from layerzoo.testing.properties import declare


@declare("S1")
def shape_static(case):
    """The symbolic output has the structure, rank and known sizes of the eager output."""
    spec = compat.call(case.make(), case.symbols())
    eager = case.call(case.make(), case.arrays())
    demand(
        _skeleton(spec) == _skeleton(eager),
        f"  symbolic output {_skeleton(spec)}\n  eager output    {_skeleton(eager)}",
    )
    _demand_covers(spec, eager)


@declare("S2")
def shape_dynamic(case):
    """With unknown sizes the symbolic output leaves open what varies, and the layer runs at each size."""
    longer = case.longer()
    unknowns = [{letter: None} for letter in longer]
    if len(longer) > 1:
        unknowns.append(dict.fromkeys(longer))
    for unknown in unknowns:
        layer = case.make()
        spec = compat.call(layer, case.symbols(**unknown))
        for sizes in ({}, {letter: longer[letter] for letter in unknown}):
            _demand_covers(spec, case.call(layer, case.arrays(**sizes)), unknown=unknown)


@declare("S3")
def spec_dtype(case):
    """The symbolic output has the eager output's dtypes, in float32 and in mixed precision."""
    for policy in ("float32", "mixed_float16", "mixed_bfloat16"):
        spec = compat.call(case.make(dtype=policy), case.symbols())
        eager = case.call(case.make(dtype=policy), case.arrays())
        said = [keras.backend.standardize_dtype(x.dtype) for x in keras.tree.flatten(spec)]
        found = [keras.backend.standardize_dtype(x.dtype) for x in keras.tree.flatten(eager)]
        demand(
            said == found, f"  policy {policy}\n  symbolic dtypes {said}\n  eager dtypes    {found}"
        )


def _skeleton(outputs):
    return keras.tree.map_structure(lambda x: len(x.shape), outputs)


def _demand_covers(spec, eager, unknown=()):
    pairs = zip(keras.tree.flatten(spec), keras.tree.flatten(eager), strict=True)
    for index, (said, found) in enumerate(pairs):
        fits = len(said.shape) == len(found.shape) and all(
            a is None or a == b for a, b in zip(said.shape, found.shape, strict=True)
        )
        demand(
            fits,
            f"  output {index}, unknown axes: {', '.join(unknown) or 'none'}\n"
            f"  symbolic shape  {tuple(said.shape)}\n  eager shape     {tuple(found.shape)}",
        )
