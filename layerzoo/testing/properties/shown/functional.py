"""A Functional model of a layer, and what it takes."""

import keras

from layerzoo.testing.shown import inputs

given = keras.tree.flatten(inputs)


def functional(call, any_batch=False):
    shape = lambda x: (None, *x.shape[1:]) if any_batch else x.shape
    symbol = lambda x: keras.Input(batch_shape=shape(x), dtype=str(x.dtype))
    symbols = keras.tree.map_structure(symbol, inputs)
    return keras.Model(keras.tree.flatten(symbols), call(**symbols))
