"""If sizes are unknown, the layer runs at each size, also in training, and leaves open what varies."""

import functools

import keras

from layerzoo.testing.shown import inputs, make, unknown

from .fitting import check_fit

for symbols, others in unknown:
    layer = make()
    told = layer(**symbols)
    check_fit(told, layer(**inputs))
    check_fit(told, layer(**others))
    if keras.backend.backend() == "tensorflow":  # the others trace nothing with unknown sizes
        trace = functools.partial(keras.Operation.compute_output_spec, layer)
        object.__setattr__(layer, "compute_output_spec", trace)
        layer(**symbols, training=True)
