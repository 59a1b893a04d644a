"""Activations, initializers, regularizers and constraints are accepted in every form, and kept."""

import json

import keras

from layerzoo.testing.shown import argument_kinds, inputs, make

register = keras.saving.register_keras_serializable("shown")
own = lambda base, *given: register(type(f"Own{base.__name__}", (base,), {}))(*given)


@register
def damped(x):
    return 0.5 * x


names = {"activation": "tanh", "constraint": "non_neg", "initializer": "ones", "regularizer": "l2"}
others = {
    "activation": [damped, keras.layers.LeakyReLU(negative_slope=0.25)],
    "constraint": [own(keras.constraints.MaxNorm, 1.5)],
    "initializer": [own(keras.initializers.Constant, 0.7)],
    "regularizer": [own(keras.regularizers.L2, 0.02)],
}
for argument, kind in argument_kinds.items():
    module = getattr(keras, f"{kind}s")
    written = lambda value: json.dumps(module.serialize(module.get(value)))
    known = module.get(names[kind])
    for form in [names[kind], known, keras.saving.serialize_keras_object(known), *others[kind]]:
        due = written(form)
        layer = make(**{argument: form})
        saved = json.loads(json.dumps(keras.saving.serialize_keras_object(layer)))
        for each in (layer, keras.saving.deserialize_keras_object(saved)):
            found = written(each.get_config()[argument])
            assert found == due, f"{argument} is {found} in the config, given {due}"
            each(**inputs)
