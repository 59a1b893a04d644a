"""The experiment of `AxialRotaryEmbedding`: the same patch of pixels in larger and larger images."""

import numpy as np
from keras import ops

from layerzoo.cookbook.evidence import Evidence
from layerzoo.positions.axial_rotary_embedding import AxialRotaryEmbedding
from layerzoo.positions.rotary_embedding import RotaryEmbedding

PATCH, WIDTH, FIRST, SIDES = 7, 32, 12, (12, 13, 16, 24, 48)
OURS, ROWS = "AxialRotaryEmbedding", "RotaryEmbedding, row by row"
MODELS = {
    OURS: lambda side: AxialRotaryEmbedding((side, side)),
    ROWS: lambda side: RotaryEmbedding(),
}


def run(seed):
    """The share of the attention inside the patch that moves, by the side of the image."""
    rng = np.random.default_rng(seed)
    query, key = rng.normal(size=(2, PATCH, PATCH, WIDTH))
    corners = {side: rng.integers(0, side - PATCH + 1, size=2) for side in SIDES}

    def result(make):
        weights = {
            side: attention(query, key, make(side), side, corner)
            for side, corner in corners.items()
        }
        return {side: float(moved(weights[FIRST], weights[side])) for side in SIDES}

    return {name: result(make) for name, make in MODELS.items()}


def attention(query, key, position, side, corner):
    """The attention of each pixel of the patch to all of its pixels, `(p, p)`, at a corner of an image."""
    y, x = corner
    query, key = (rotated(each, position, side, y, x) for each in (query, key))
    scores = query @ key.T / np.sqrt(WIDTH)
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True)


def rotated(patch, position, side, y, x):
    """The vectors of the patch, rotated by their places in an image, `(p, WIDTH)`."""
    image = np.zeros((side, side, WIDTH), "float32")
    image[y : y + PATCH, x : x + PATCH] = patch
    steps = position(image.reshape(1, side * side, 1, WIDTH))
    image = ops.convert_to_numpy(steps).reshape(side, side, WIDTH)
    return image[y : y + PATCH, x : x + PATCH].reshape(-1, WIDTH).astype("float64")


def moved(before, after):
    """The share of the attention that goes to other pixels, averaged over the queries."""
    return np.abs(after - before).sum(-1).mean() / 2


EVIDENCE = Evidence(
    claim="Scores depend on the rows and columns between two pixels, and not on the size of the image.",
    source="arXiv:2409.12191, section 2.1",
    task=(
        f"Nothing is trained. A patch of {PATCH} by {PATCH} pixels has random queries and keys of width "
        f"{WIDTH}. It is put at a random corner of square images of several sizes. The attention inside the "
        f"patch is compared with that in the image whose side is {FIRST}. Beside it, the same with pixels "
        "numbered row by row."
    ),
    run=run,
    metric="share of the attention that goes to other pixels",
    better="lower",
    x="side of the image",
    holds={
        "at most 1e-4 of it moves in any image": lambda found: max(found[OURS].values()) <= 1e-4,
        "row by row, at least a tenth moves in every other image": lambda found: (
            min(share for side, share in found[ROWS].items() if side != FIRST) >= 0.1
        ),
    },
    limits=(
        "It shows what the equation says, and no gain of a trained model. Four small tasks were tried for "
        "that. No model learned any of them well enough to compare. The first image is compared with itself."
    ),
)
