"""What several cards claim, as functions of NumPy arrays and of a layer's config."""


def longer(x, y):
    """By how much the square of each step's norm grew."""
    return (y * y).sum(axis=-1) - (x * x).sum(axis=-1)


def steps_reversed(x):
    """The steps in reverse."""
    return x[:, ::-1]


def unchanged(y):
    """What no reordering of the steps may change."""
    return y


def rows_reversed(x):
    """The rows of images with their channels first in reverse."""
    return x[:, :, ::-1]


def swapped(x):
    """Queries and keys in each other's place, where scores are `(b, n, t, s)`."""
    return x.swapaxes(2, 3)


def differs_by_sample(x, y):
    """What is added to scores beyond what is added in the first sample."""
    return (y - x) - (y - x)[:1]


def differs_along_diagonals(x, y):
    """What is added to scores beyond what the query and the key one step before get."""
    bias = y - x
    residue = 0 * bias
    residue[..., 1:, 1:] = bias[..., 1:, 1:] - bias[..., :-1, :-1]
    return residue


def weighed(config):
    """The inputs of a layer that weighs channels: images where a format is named, or else sequences."""
    images = {"channels_last": "b y x c", "channels_first": "b c y x"}
    return images.get(config.get("data_format"), "b t d")


def rows_or_steps(config):
    """Positions stand anywhere for a layer that weighs channels by their means alone."""
    if config.get("data_format") == "channels_first":
        return {"rows reversed": (rows_reversed, rows_reversed)}
    return {"rows or steps reversed": (steps_reversed, steps_reversed)}
