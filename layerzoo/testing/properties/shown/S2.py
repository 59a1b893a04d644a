"""If sizes are unknown, the layer runs at each size, also in training, and leaves open what varies."""

import keras

from layerzoo.testing.shown import inputs, make, unknown

for symbols, others in unknown:
    layer = make()
    said = layer(**symbols)
    for found in (layer(**inputs), layer(**others)):
        for s, f in zip(keras.tree.flatten(said), keras.tree.flatten(found)):
            s, f = tuple(s.shape), tuple(f.shape)
            fits = len(s) == len(f) and all(a in (None, b) for a, b in zip(s, f))
            assert fits, f"symbolic shape {s}, eager shape {f}"
    if keras.backend.backend() == "tensorflow":  # elsewhere a call that runs knows every size
        import functools

        trace = functools.partial(keras.Operation.compute_output_spec, layer)
        object.__setattr__(layer, "compute_output_spec", trace)
        layer(**symbols, training=True)
