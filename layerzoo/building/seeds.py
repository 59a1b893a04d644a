"""Seeds that a layer draws."""


def drawn_dropout(layer, training):
    """`(rate, seed)` in training, with a seed that the layer's `seed_generator` draws; else None."""
    if not (training and layer.dropout):
        return None
    return layer.dropout, layer.seed_generator.next()
