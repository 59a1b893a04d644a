"""The experiment of `MixtureOfExperts`: what its experts fit, and how evenly tokens are spread over them."""

import keras
import numpy as np
from keras import layers, ops

from layerzoo.cookbook.evidence import Evidence
from layerzoo.cookbook.evidence.tasks import predicted, trained
from layerzoo.gated.gated_mlp import GatedMLP
from layerzoo.gated.mixture_of_experts import MixtureOfExperts

CLUSTERS, WIDTH, HIDDEN, COUNT, EPOCHS = 8, 16, 32, 8192, 30
OURS, DENSE = "MixtureOfExperts, error", "GatedMLP, error"
BALANCED, FREE = "MixtureOfExperts, variation of load", "without balance loss, variation of load"
MODELS = {
    OURS: lambda: MixtureOfExperts(CLUSTERS, HIDDEN, top_k=1, aux_loss_weight=0.1),
    FREE: lambda: MixtureOfExperts(CLUSTERS, HIDDEN, top_k=1, aux_loss_weight=0.0),
    DENSE: lambda: GatedMLP(HIDDEN),
}


def clusters(seed):
    """Points of eight clusters, and for each its image by the linear map of its cluster."""
    rng = np.random.default_rng(seed)
    centres = 2 * rng.normal(size=(CLUSTERS, WIDTH))
    maps = rng.normal(size=(CLUSTERS, WIDTH, WIDTH)) / WIDTH**0.5
    which = rng.integers(CLUSTERS, size=COUNT + 1024)
    offsets = rng.normal(size=(len(which), WIDTH))
    images = np.einsum("nd,ndf->nf", offsets, maps[which])
    return [x.astype("float32") for x in (centres[which] + offsets, images)]


def run(seed):
    """The errors of two models, and how unevenly experts are used with and without the balance loss."""
    x, y = clusters(seed)

    def model(layer):
        make = lambda: keras.Sequential([keras.Input((WIDTH,)), layer(), layers.Dense(WIDTH)])  # noqa: E731
        return trained(
            make,
            x[:COUNT],
            y[:COUNT],
            seed,
            epochs=EPOCHS,
            batch_size=128,
            learning_rate=3e-3,
            loss="mse",
        )

    models = {name: model(layer) for name, layer in MODELS.items()}
    held_out = x[COUNT:]
    errors = {
        name: float(np.mean((predicted(models[name], held_out) - y[COUNT:]) ** 2))
        for name in (OURS, DENSE)
    }
    loads = {BALANCED: models[OURS], FREE: models[FREE]}
    return {**errors, **{name: variation(model, held_out) for name, model in loads.items()}}


def variation(model, x):
    """The standard deviation of the numbers of tokens of the experts, divided by their mean."""
    _, experts, _ = model.layers[0](x, return_routing=True)
    load = np.bincount(ops.convert_to_numpy(experts).ravel(), minlength=CLUSTERS)
    return float(load.std() / load.mean())


EVIDENCE = Evidence(
    claim="More experts fit more at the same arithmetic, and the balance loss spreads the tokens over them.",
    source="arXiv:1701.06538, figure 2 and table 6",
    task=(
        f"{COUNT:,} points of {CLUSTERS} clusters in {WIDTH} dimensions, each mapped by the linear map of "
        f"its cluster. {CLUSTERS} experts of width {HIDDEN} with `top_k=1`, or a `GatedMLP` of that width, "
        f"and a dense layer; {EPOCHS} epochs of Adam at 3e-3 in batches of 128. The balance loss has the "
        "factor 0.1, as in the paper. The variation of load is the standard deviation of the number of "
        "held-out points of each expert, divided by its mean."
    ),
    run=run,
    metric="squared error on held-out points, and variation of load",
    better="lower",
    holds={
        "the error is at most a fifth of that of the dense model": lambda found: (
            found[OURS] <= found[DENSE] / 5
        ),
        "with the balance loss, the variation of load is less than 0.3": lambda found: (
            found[BALANCED] < 0.3
        ),
        "without it, the variation is more than 1": lambda found: found[FREE] > 1,
    },
    limits="The paper trains language models with up to 131,072 experts, and chooses with noise.",
)
