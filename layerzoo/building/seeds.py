"""Random seeds that a layer draws."""


def drawn_dropout(layer, training):
    """`(rate, seed)` in training, with a seed drawn from the layer's `seed_generator`, otherwise None."""
    if not (training and layer.dropout):
        return None
    return layer.dropout, layer.seed_generator.next()


def seed_of_part(seed, part):
    """A seed for each part of a layer that draws, or None for None.

    Two parts with one seed would drop the same features.
    """
    return None if seed is None else (seed + part * 1_000_003) % 2**31
