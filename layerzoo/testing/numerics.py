"""Numbers: what half precision and large values do."""

import keras
import numpy as np

from layerzoo.testing import compat
from layerzoo.testing.case import flat
from layerzoo.testing.closeness import demand_close, demand_finite
from layerzoo.testing.outcomes import NotApplicable, demand
from layerzoo.testing.properties import declare

PRECISION = {"mixed_float16": 2e-2, "mixed_bfloat16": 1e-1, "bfloat16": 1e-1}


@declare("N1", cost="fair")
def mixed_precision(case):
    """In half precision dtypes follow the policy, inside too, and values stay near those of float32."""
    layer = case.built()
    arrays = case.arrays(values="normal")
    expected = case.run(layer, arrays)
    for name, tolerance in PRECISION.items():
        half = case.twin(layer, dtype=name)
        policy = keras.dtype_policies.get(name)
        outputs = case.call(half, arrays)
        for output in keras.tree.flatten(outputs):
            dtype = keras.backend.standardize_dtype(output.dtype)
            demand(
                "float" not in dtype or dtype == policy.compute_dtype,
                f"  policy {name}: an output is {dtype}, not {policy.compute_dtype}",
            )
        for inner in _own_sublayers(case, half):
            demand(
                inner.dtype_policy.name == name,
                f"  policy {name}: the sub-layer {inner.name} has {inner.dtype_policy.name}",
            )
            for weight in compat.own_weights(inner):
                demand(
                    weight.dtype == policy.variable_dtype,
                    f"  policy {name}: {weight.path} is {weight.dtype}, not {policy.variable_dtype}",
                )
        origin = f"{tolerance:g} of the largest value, for the precision of {policy.compute_dtype}"
        for a, e in zip(flat(outputs), expected, strict=True):
            demand_close(a, e, tolerance, f"  {name} and float32", origin)


@declare("N3")
def large_values(case):
    """Inputs of size 10,000 give finite outputs in float32."""
    layer = case.built()
    if not case.floats:
        raise NotApplicable("no input is a float")
    arrays = case.arrays(values="normal")
    arrays.update({path: arrays[path] * np.float32(1e4) for path in case.floats})
    for output in case.run(layer, arrays):
        demand_finite(output, "  inputs of size 10,000: the output is not finite")


def _own_sublayers(case, layer):
    """The layers inside, without those that the user made and passed in: their dtype is theirs."""
    passed = {
        id(inner)
        for name in case.config
        for outer in keras.tree.flatten(getattr(layer, name, None))
        if isinstance(outer, keras.layers.Layer)
        for inner in compat.sublayers(outer)
    }
    return [inner for inner in compat.sublayers(layer) if id(inner) not in passed]
