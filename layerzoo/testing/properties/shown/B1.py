"""`build` makes exactly the variables that a first call makes, and a call after it adds none."""

from layerzoo.testing.shown import inputs, make, shapes


def variables(layer):
    return [tuple(v.shape) for v in layer.variables]


one, other = make(name="subject"), make(name="subject")
one.build(*shapes)
other(**inputs)
by_build, by_call = variables(one), variables(other)
assert by_build == by_call, f"by build {by_build}, by a call {by_call}"
assert one.built, "`built` is False after `build`"
one(**inputs)
after = variables(one)
assert after == by_build, f"before the call {by_build}, after it {after}"
