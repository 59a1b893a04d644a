"""The experiment of `RotaryEmbedding`: the same model of text with other positions."""

from layerzoo.cookbook.evidence import Evidence
from layerzoo.cookbook.evidence.tasks import (
    TEXT,
    TRANSFORMER,
    cross_entropy,
    of_sinusoids,
    positioned,
    trained_on_text,
    windows,
)
from layerzoo.positions.rotary_embedding import RotaryEmbedding

MODELS = {
    "RotaryEmbedding": positioned(RotaryEmbedding),
    "sinusoids": of_sinusoids,
    "no positions": positioned(),
}


def run(seed):
    """The loss of each model at the length that it was trained on."""
    pieces, following = windows(64, 512, seed, held_out=True)
    return {
        name: cross_entropy(trained_on_text(make, seed), pieces, following)
        for name, make in MODELS.items()
    }


EVIDENCE = Evidence(
    claim="A model with rotary positions learns faster than one with sinusoids added to its inputs.",
    source="arXiv:2104.09864, figure 3",
    task=f"{TEXT} {TRANSFORMER}",
    run=run,
    metric="loss on held-out text of 64 characters, in nats",
    better="lower",
    holds={
        "RotaryEmbedding is better than the sinusoids by at least 0.1": lambda found: (
            found["RotaryEmbedding"] <= found["sinusoids"] - 0.1
        ),
        "it is better than no positions by at least 0.1": lambda found: (
            found["RotaryEmbedding"] <= found["no positions"] - 0.1
        ),
    },
    limits=(
        "The paper pre-trains BERT. Here the training is short, and a longer one may bring the models "
        "nearer to each other. On texts longer than those of training, see `AlibiBias`."
    ),
)
