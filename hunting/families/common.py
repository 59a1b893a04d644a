"""What the cards of several families share."""

import keras

BACKEND = keras.backend.backend()

FORMATS = [None, "channels_last" if BACKEND == "tensorflow" else "channels_first"]
"""Values of `data_format`: TensorFlow has no kernel on the CPU for channels first, JAX and PyTorch have."""


def weights(pick, *kinds, activity=True, constrained=True) -> dict:
    """The initializer, regularizer and constraint of each kind of weight, off their defaults or not."""
    moved = {"activity_regularizer": "l2"} if activity else {}
    for kind in kinds:
        moved[f"{kind}_initializer"] = "random_normal"
        moved[f"{kind}_regularizer"] = "l2"
        if constrained:
            moved[f"{kind}_constraint"] = "max_norm"
    return moved if pick([False, True]) else {}


def axes(config, space: str) -> str:
    """The axis letters of a batch with these axes of space, channels where the config has them."""
    first = config.get("data_format") == "channels_first"
    return f"b c {space}" if first else f"b {space} c"


def space(rank: int) -> str:
    """The letters of so many axes of space."""
    return " ".join("zyx"[3 - rank :]) if rank > 1 else "t"
