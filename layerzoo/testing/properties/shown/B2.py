"""A layer that is built from its build config, read back from JSON, has the same variables."""

import json

from layerzoo.testing.shown import make, shapes

layer, revived = make(name="subject"), make(name="subject")
layer.build(*shapes)
revived.build_from_config(json.loads(json.dumps(layer.get_build_config())))
first, second = (
    [(tuple(v.shape), v.dtype, v.trainable) for v in each.variables] for each in (layer, revived)
)
assert first == second, f"built {first}, from the build config {second}"
