"""Claims that several cards share, as functions of NumPy arrays or of a layer's config."""


def longer(x, y):
    """The change in the squared norm of each step."""
    return (y * y).sum(axis=-1) - (x * x).sum(axis=-1)


def steps_reversed(x):
    """The steps in reverse order."""
    return x[:, ::-1]


def unchanged(y):
    """The output as it is: no reordering of the steps may change it."""
    return y


def rows_reversed(x):
    """The rows of channels-first images in reverse order."""
    return x[:, :, ::-1]


def swapped(x):
    """Scores `(b, n, t, s)` with queries and keys swapped."""
    return x.swapaxes(2, 3)


def differs_by_sample(x, y):
    """The bias added to the scores, minus the bias of the first sample."""
    return (y - x) - (y - x)[:1]


def differs_along_diagonals(x, y):
    """The bias added to the scores, minus the bias of the query and key one step earlier."""
    bias = y - x
    residue = 0 * bias
    residue[..., 1:, 1:] = bias[..., 1:, 1:] - bias[..., :-1, :-1]
    return residue


def weighed(config):
    """The inputs of a layer that gates channels: images if the config has a data format, else sequences."""
    images = {"channels_last": "b y x c", "channels_first": "b c y x"}
    return images.get(config.get("data_format"), "b t d")


def rows_or_steps(config):
    """The order of positions does not matter to a layer that gates channels by their means."""
    if config.get("data_format") == "channels_first":
        return {"rows reversed": (rows_reversed, rows_reversed)}
    return {"rows or steps reversed": (steps_reversed, steps_reversed)}
