"""Randomness: none at inference, and in training the same again from the same seed."""

import numpy as np

from layerzoo.testing import compat
from layerzoo.testing.closeness import demand_close
from layerzoo.testing.outcomes import NotApplicable, demand
from layerzoo.testing.properties import declare

TRIES, BATCH = 4, 16  # dropping one sample in five never shows with probability 1e-6


@declare("R1")
def inference_deterministic(case):
    """Two calls at inference give the same bits and change no state."""
    layer = case.built()
    arrays = case.arrays()
    before = [compat.array(v) for v in layer.variables]
    first, second = case.run(layer, arrays), case.run(layer, arrays)
    for a, e in zip(second, first, strict=True):
        demand_close(a, e, 0, "  the second call and the first", "equal bits")
    if case.traits.state == "always":
        return  # what then moves, R5 looks at
    for variable, old in zip(layer.variables, before, strict=True):
        demand(np.array_equal(compat.array(variable), old), f"  inference changed {variable.path}")


@declare(
    "R2",
    never="The card says that training is stochastic; in no sample did it differ from inference.",
)
def train_equals_inference(case):
    """Training computes what inference does, unless the card says that it differs or is stochastic."""
    layer = case.built()
    arrays = case.arrays(values="normal", b=BATCH)
    expected = case.run(layer, arrays, training=False)
    if case.traits.stochastic or case.traits.train_differs:
        return any(
            not all(map(np.array_equal, case.run(layer, arrays, training=True), expected))
            for _ in range(TRIES)
        )
    if case.traits.couples_batch == "training":
        raise NotApplicable("training uses the statistics of the batch")
    for a, e in zip(case.run(layer, arrays, training=True), expected, strict=True):
        demand_close(a, e, 1e-6, "  training and inference", "the same sums, compiled or not")
    return None


@declare("R3", tier="trait", cost="fair")
def seeded_noise(case):
    """The same seed gives the same noise whatever the global seeds are; successive calls differ."""
    if not case.traits.stochastic:
        raise NotApplicable("the card claims no randomness under this config")
    arrays = case.arrays(values="normal", b=BATCH)
    model = case.built()
    sequences = []
    for global_seed in (1, 2):
        np.random.seed(global_seed)
        layer = case.twin(model, seed=1234)
        generators = [v for v in layer.variables if "seed_generator" in v.path]
        demand(generators, "  no SeedGenerator is among the layer's variables")
        sequences.append([case.run(layer, arrays, training=True) for _ in range(TRIES)])
    for first, second in zip(*sequences, strict=True):
        for a, e in zip(second, first, strict=True):
            demand_close(a, e, 0, "  two instances with one seed, call by call", "equal bits")
    demand(varied(sequences[0]), f"  {TRIES} calls in training gave the same numbers")


def varied(outputs) -> bool:
    """Whether the outputs of some calls are not all the same."""
    first = outputs[0]
    return any(not all(map(np.array_equal, each, first)) for each in outputs[1:])
