"""The experiment of `AttentionPooling`: is there a 9 in a bag of digits?"""

from layerzoo.attention.attention_pooling import AttentionPooling
from layerzoo.cookbook.evidence import Evidence
from layerzoo.cookbook.evidence.tasks import BAGS, POOLINGS, bag_model, bags_of, found_in
from layerzoo.cookbook.evidence.tasks import trained_on_bags as trained

MODELS = {"AttentionPooling": lambda: AttentionPooling(4), **POOLINGS}


def run(seed):
    """The share of held-out bags that each model judges right."""
    training, test = bags_of(seed)
    return {
        name: found_in(trained(lambda pool=pool: bag_model(pool()), training, seed), test)
        for name, pool in MODELS.items()
    }


EVIDENCE = Evidence(
    claim="A pooling that learns where to look beats one that treats all members of a set alike.",
    source="arXiv:1810.00825, table 1",
    task=BAGS,
    run=run,
    metric="accuracy on held-out bags",
    holds={
        "AttentionPooling is right in 0.1 more of the bags than the mean": lambda found: (
            found["AttentionPooling"] >= found["mean"] + 0.1
        ),
    },
    limits=(
        "The paper pools sets of points and images. Here one member decides, and the maximum is as good."
    ),
)
