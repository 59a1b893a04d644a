"""The experiment of `MinGRU`: selective copying beside Keras's `GRU`."""

from keras import layers

from layerzoo.cookbook.evidence import Evidence
from layerzoo.recurrence.evidence._copying import METRIC, TASK, share_repeated
from layerzoo.recurrence.min_gru import MinGRU

OURS, OTHER = "MinGRU", "GRU"
MODELS = {
    OURS: lambda width: MinGRU(width, return_sequences=True),
    OTHER: lambda width: layers.GRU(width, return_sequences=True),
}


def run(seed):
    """The share of the symbols that each model repeats."""
    return {name: share_repeated(kind, seed) for name, kind in MODELS.items()}


EVIDENCE = Evidence(
    claim="Stacked, a layer whose gates do not see the state learns what a full GRU learns.",
    source="arXiv:2410.01201, table 1 and section 4.2",
    task=TASK,
    run=run,
    metric=METRIC,
    holds={
        "MinGRU repeats 0.9 of the symbols or more": lambda found: found[OURS] >= 0.9,
        "it is behind the GRU by at most 0.02": lambda found: found[OURS] >= found[OTHER] - 0.02,
    },
    limits=(
        "The paper copies 16 symbols out of 4,096 steps, and trains for 400,000 steps. What the layer saves "
        "in time is in the costs on this page."
    ),
)
