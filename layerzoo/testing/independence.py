"""Independence: which outputs may depend on which inputs."""

import numpy as np

from layerzoo.testing import compat
from layerzoo.testing.closeness import demand_close
from layerzoo.testing.outcomes import NotApplicable
from layerzoo.testing.properties import declare

SUMS = "float32, 1e-5 for sums in another order"


@declare(
    "I1",
    never="The card says that the samples of a batch influence each other; in no sample did they.",
)
def batch_independence(case):
    """The samples of a batch do not influence each other, unless the card says that they do."""
    if "b" not in case.traits.dynamic.split():
        raise NotApplicable("the batch has one size")
    coupled = case.traits.couples_batch
    arrays = case.arrays(values="normal", b=3)
    layer = case.built()
    whole = case.run(layer, arrays)
    changed = case.arrays(salt=1, values="normal", b=3)
    mixed = {name: np.concatenate([a[:1], changed[name][1:]]) for name, a in arrays.items()}
    if coupled:
        training = coupled == "training"
        with compat.kept_state(layer):  # training moves the statistics that inference uses
            first = case.run(layer, arrays, training=training)
            second = case.run(layer, mixed, training=training)
        refuted = any(
            not np.allclose(a[0], b[0], atol=1e-6) for a, b in zip(first, second, strict=True)
        )
        if coupled == "always":
            return refuted
    for a, e in zip(case.run(layer, mixed), whole, strict=True):
        demand_close(a[0], e[0], 1e-6, "  sample 0 after the others changed", SUMS)
    for row in range(3):
        alone = case.run(layer, {name: a[row : row + 1] for name, a in arrays.items()})
        for a, e in zip(alone, whole, strict=True):
            demand_close(a[0], e[row], 1e-5, f"  sample {row} alone, and in the batch", SUMS)
    return refuted if coupled else None


@declare(
    "I2",
    tier="trait",
    never="The card says that the layer is not causal; in every sample no output depended on a later step.",
)
def causality(case):
    """No output depends on a later step, where the card says so, and some does where it says not."""
    if case.traits.causal is None:
        raise NotApplicable("the card claims nothing about causality")
    arrays = case.arrays(values="normal")
    first = next(iter(arrays))
    other = case.arrays(1, "normal")[first]
    layer = case.built()
    whole = case.run(layer, arrays)
    leaks = []
    for k in range(1, arrays[first].shape[1]):
        later = dict(arrays)
        later[first] = arrays[first].copy()
        later[first][:, k:] = other[:, k:]
        for a, e in zip(case.run(layer, later), whole, strict=True):
            if case.traits.causal:
                demand_close(
                    a[:, :k], e[:, :k], 1e-6, f"  outputs before step {k}, later ones changed", SUMS
                )
            leaks.append(not np.allclose(a[:, :k], e[:, :k], atol=1e-6))
    return None if case.traits.causal else any(leaks)
