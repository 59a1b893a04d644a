"""The experiment of `AlibiBias`: trained on short texts, tested on long ones."""

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
from layerzoo.positions.alibi_bias import AlibiBias
from layerzoo.positions.rotary_embedding import RotaryEmbedding

LENGTHS = (64, 128, 256, 512)
MODELS = {
    "AlibiBias": positioned(AlibiBias),
    "sinusoids": of_sinusoids,
    "RotaryEmbedding": positioned(RotaryEmbedding),
    "no positions": positioned(),
}


def run(seed):
    """The loss of each model on the same characters, with more and more text before them."""
    pieces, following = windows(max(LENGTHS), 64, seed, held_out=True)

    def losses(make):
        model = trained_on_text(make, seed)
        return {t: cross_entropy(model, pieces[:, -t:], following[:, -t:], 32) for t in LENGTHS}

    return {name: losses(make) for name, make in MODELS.items()}


EVIDENCE = Evidence(
    claim="Trained on short texts, it reads longer ones without getting worse.",
    source="arXiv:2108.12409, figure 1",
    task=f"{TEXT} {TRANSFORMER} Each model is then tested with up to 512 characters.",
    run=run,
    metric="loss of the last 32 characters, in nats",
    better="lower",
    x="length of the text",
    holds={
        "the loss of AlibiBias is at most 0.03 higher at 512 than at 64": lambda found: (
            found["AlibiBias"][512] <= found["AlibiBias"][64] + 0.03
        ),
        "at 512, it is better than each of the others": lambda found: (
            found["AlibiBias"][512]
            < min(found[name][512] for name in MODELS if name != "AlibiBias")
        ),
        "the sinusoids are worse at 512 than at 64 by at least 0.3": lambda found: (
            found["sinusoids"][512] >= found["sinusoids"][64] + 0.3
        ),
    },
    limits=(
        "The paper trains on 512 to 1,024 words and tests on up to 16,000. There, more text lowers the loss. "
        "This small model gains nothing from it: its loss rises, if only by 0.004 to 0.02."
    ),
)
