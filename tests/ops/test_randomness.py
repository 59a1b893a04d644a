import numpy as np
import pytest
from keras import ops, random

from layerzoo.ops.randomness import kept


def drawn(seed=1):
    return random.SeedGenerator(seed).next()


def test_the_same_seed_gives_the_same_and_another_seed_or_part_does_not():
    first, again, other, part = (
        ops.convert_to_numpy(kept((50,), 0.5, *given))
        for given in ((drawn(),), (drawn(),), (drawn(2),), (drawn(), 1))
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    assert (first != part).any()


@pytest.mark.parametrize("rate", [0.0, 0.3, 1.0])
def test_a_share_is_dropped_and_the_mean_is_kept(rate):
    found = ops.convert_to_numpy(kept((20_000,), rate, drawn()))
    assert abs((found == 0).mean() - rate) < 0.02
    assert set(np.unique(found)) <= {0, np.float32(1 / max(1 - rate, 1e-9))}
