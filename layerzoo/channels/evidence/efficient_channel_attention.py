"""The experiment of `EfficientChannelAttention`: the gain of a gate, at a handful of weights."""

from layerzoo.channels.efficient_channel_attention import EfficientChannelAttention
from layerzoo.channels.squeeze_excite import SqueezeExcite
from layerzoo.cookbook.evidence import Evidence
from layerzoo.cookbook.evidence.tasks import BROKEN, extra_weights, gated_accuracy


def ours():
    """The gate of this experiment."""
    return EfficientChannelAttention()


def other():
    """A gate with many weights."""
    return SqueezeExcite(ratio=2)


OURS = f"EfficientChannelAttention, {extra_weights(ours())} weights"
OTHER = f"SqueezeExcite(ratio=2), {extra_weights(other())} weights"
MODELS = {OURS: ours, OTHER: other, "no gate": None}


def run(seed):
    """The accuracy of each network."""
    return {name: gated_accuracy(gate, seed) for name, gate in MODELS.items()}


EVIDENCE = Evidence(
    claim="With a handful of weights, a gate does as much for a network as one with hundreds.",
    source="arXiv:1910.03151, abstract",
    task=BROKEN,
    run=run,
    metric="accuracy on held-out digits",
    holds={
        "with EfficientChannelAttention, more digits are read than without a gate": lambda found: (
            found[OURS] > found["no gate"]
        ),
        "at most 0.03 fewer than with SqueezeExcite": lambda found: (
            found[OURS] >= found[OTHER] - 0.03
        ),
    },
    limits="The task is made so that the importance of a channel depends on the image.",
)
