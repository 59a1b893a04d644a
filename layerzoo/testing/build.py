"""Building: all state is made in one place, from shapes alone, and can be found."""

import json
import re

from layerzoo.testing import compat
from layerzoo.testing.outcomes import demand
from layerzoo.testing.properties import declare


@declare("B1")
def build_complete(case):
    """`build` makes exactly the variables that a first call makes, and the call adds none."""
    built, called = case.make(name="subject"), case.make(name="subject")
    case.build(built)
    case.call(called, case.arrays())
    by_build, by_call = _described(built), _described(called)
    demand(built.built, "  `built` is False after `build`")
    demand(by_build == by_call, f"  by build        {by_build}\n  by a call       {by_call}")
    case.call(built, case.arrays())
    after = _described(built)
    demand(after == by_build, f"  before the call {by_build}\n  after it        {after}")


@declare("B2")
def build_config(case):
    """A layer built from its build config, read back from JSON, has the same variables."""
    layer, revived = case.make(name="subject"), case.make(name="subject")
    case.build(layer)
    revived.build_from_config(json.loads(json.dumps(layer.get_build_config())))
    first, second = _described(layer), _described(revived)
    demand(first == second, f"  built           {first}\n  from its config {second}")


@declare("B3")
def state_tracked(case):
    """Every variable that the layer makes is among its `variables`."""
    config = case.config  # a layer that is passed in may be a mere pattern, as in Bidirectional
    with compat.recorded_variables() as made:
        layer = case.card.layer(**config)
        case.call(layer, case.arrays())
        case.call(layer, case.arrays(), training=True)
    known = {id(variable) for variable in layer.variables}
    lost = [variable.path for variable in made if id(variable) not in known]
    demand(not lost, f"  made but not in `layer.variables`: {', '.join(lost)}")


def _described(layer) -> list[str]:
    """Each variable in a line; Keras numbers what nobody named through the whole process."""
    return [
        f"{re.sub('_[0-9]+(?=/|$)', '', v.path)} {tuple(v.shape)} {v.dtype}"
        f"{'' if v.trainable else ' frozen'}"
        for v in layer.variables
    ]
