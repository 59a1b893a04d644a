"""A layer revived from its config has the same arguments, also inside, and computes the same values."""

import inspect
import json

import numpy as np

from layerzoo.testing.shown import arguments, inputs, make, numbers


def text(config):  # without what Keras adds to a layer inside once that is built
    drop = lambda node: {k: v for k, v in node.items() if k != "build_config"}
    return json.dumps(json.loads(json.dumps(config), object_hook=drop), sort_keys=True)


layer = make(name="subject")
config = layer.get_config()
written = text(config)
lost = set(arguments) - set(config)
assert not lost, f"arguments missing from the config: {lost}"
layer(**inputs)
assert text(layer.get_config()) == written, f"{written} became {text(layer.get_config())}"
revived = type(layer).from_config(config)
assert text(config) == written, f"`from_config` changed {written} to {text(config)}"
assert text(revived.get_config()) == written, f"{written} revived: {text(revived.get_config())}"
revived(**inputs)
revived.set_weights(layer.get_weights())
for y, e in zip(numbers(revived(**inputs)), numbers(layer(**inputs)), strict=True):
    np.testing.assert_allclose(y, e, rtol=1e-5, atol=1e-6)
for old, new in zip(layer._flatten_layers(), revived._flatten_layers()):  # the layers inside too
    for argument in inspect.signature(type(old).__init__).parameters:
        due, found = vars(old).get(argument), vars(new).get(argument)
        if isinstance(due, (bool, int, float, str)):
            assert found == due, f"{old.name} lost {argument}: it was {due} and is {found}"
