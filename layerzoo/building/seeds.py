"""Random seeds that a layer draws."""


def drawn_dropout(layer, training):
    """`(rate, seed)` in training, with a seed drawn from the layer's `seed_generator`, otherwise None."""
    if not (training and layer.dropout):
        return None
    return layer.dropout, layer.seed_generator.next()
