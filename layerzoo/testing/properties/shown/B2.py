"""A layer that is built from its build config, read back from JSON, has the same variables."""

import json

from layerzoo.testing.shown import make, shapes


def variables(layer):
    return [(tuple(v.shape), v.dtype, v.trainable) for v in layer.variables]


layer, revived = make(name="subject"), make(name="subject")
layer.build(*shapes)
revived.build_from_config(json.loads(json.dumps(layer.get_build_config())))
due, found = variables(layer), variables(revived)
assert found == due, f"built {due}, from the build config {found}"
