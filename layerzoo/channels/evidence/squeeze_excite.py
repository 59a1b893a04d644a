"""The experiment of `SqueezeExcite`: other channels are broken in each image."""

from layerzoo.channels.squeeze_excite import SqueezeExcite
from layerzoo.cookbook.evidence import Evidence
from layerzoo.cookbook.evidence.tasks import BROKEN, gated_accuracy

MODELS = {"SqueezeExcite": lambda: SqueezeExcite(ratio=2), "no gate": None}


def run(seed):
    """The accuracy of each network."""
    return {name: gated_accuracy(gate, seed) for name, gate in MODELS.items()}


EVIDENCE = Evidence(
    claim="A network reads images better if it can weigh its channels anew for each image.",
    source="arXiv:1709.01507, table 2",
    task=BROKEN,
    run=run,
    metric="accuracy on held-out digits",
    holds={
        "with SqueezeExcite, more digits are read": lambda found: (
            found["SqueezeExcite"] > found["no gate"]
        ),
    },
    limits=(
        "The task is made so that the importance of a channel depends on the image. The paper's gain on "
        "ImageNet is about one point."
    ),
)
