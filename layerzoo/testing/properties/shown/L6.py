"""Bad arguments raise ValueError or TypeError; inputs that do not fit are refused before any change."""

import numpy as np

from layerzoo.testing.shown import built, inputs, make, refused

layer, first = built(), next(iter(inputs))
for config in refused:
    try:
        taken = type(layer)(**config)
    except (ValueError, TypeError):
        continue
    raise AssertionError(f"{config} is accepted and gives {taken}")


def widened(x):  # one more entry in the last axis of the first input
    if isinstance(x, dict):
        return {**x, next(iter(x)): widened(next(iter(x.values())))}
    return (
        [widened(x[0]), *x[1:]] if isinstance(x, list) else np.concatenate([x, x[..., :1]], axis=-1)
    )


given, new, outcome = {**inputs, first: widened(inputs[first])}, make(), None
shapes = lambda layer: [tuple(w.shape) for w in layer.weights]
try:
    new(**given)
    outcome = layer(**given) if shapes(new) != shapes(layer) else None
except Exception:
    pass
assert outcome is None, f"built for {shapes(layer)}, but one more entry is accepted: {outcome}"
