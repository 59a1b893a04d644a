"""Arrays that the tests share: random ones, a comparison of two, and the kinds of padding."""

import keras
import numpy as np
from keras import ops

LEFT, RIGHT, INSIDE = [0, 0, 1, 1, 1], [1, 1, 1, 0, 0], [1, 0, 1, 0, 1]
"""Masks of five steps, by where the padding is."""


def random(*shape, seed=0):
    """Normally distributed float32."""
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def by_group(groups, *kinds):
    """Columns of queries, keys, ... in the order of a fused projection: group by group."""
    kinds = [np.reshape(kind, (*kind.shape[:-1], groups, -1)) for kind in kinds]
    together = np.concatenate(kinds, axis=-1)
    return together.reshape(*together.shape[:-2], -1)


def close(actual, expected, relative=1e-5):
    """Assert that no difference is larger than a share of the largest expected number."""
    actual, expected = ops.convert_to_numpy(actual), ops.convert_to_numpy(expected)
    np.testing.assert_allclose(
        actual, expected, rtol=0, atol=relative * np.abs(expected).max(), equal_nan=False
    )


def joined(outputs):
    """The output of a layer, or its outputs side by side on the last axis if it has several."""
    several = keras.tree.flatten(outputs)
    return ops.concatenate(several, axis=-1) if len(several) > 1 else several[0]
