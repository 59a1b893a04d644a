"""A model trains nothing of a layer that is made, set, revived or loaded frozen; it can be undone."""

from layerzoo.testing.shown import built, inputs, make


def trained(layer):  # by a model around it
    layer(**inputs)
    return {v.path for v in layer.variables if v.trainable} | {
        w.path for w in layer.trainable_weights
    }


later = built()
due = len(trained(later))
later.trainable = False
for frozen in make(trainable=False), later, type(later).from_config(later.get_config()):
    found = trained(frozen)
    assert not frozen.trainable, "the config lost `trainable=False`"
    assert not found, f"the layer is frozen, and a model trains {found}"
    frozen.trainable = True
    found = trained(frozen)
    assert len(found) == due, f"{found} train again, {due} do in a layer never frozen"
