"""Whether the shapes that a layer tells fit its outputs."""

import keras


def check_fit(told, outputs):  # None stands for any size
    for t, y in zip(keras.tree.flatten(told), keras.tree.flatten(outputs), strict=True):
        due, found = tuple(t.shape), tuple(y.shape)
        fits = len(due) == len(found) and all(n in (None, m) for n, m in zip(due, found))
        assert fits, f"the layer tells the shape {due}, its output has {found}"
