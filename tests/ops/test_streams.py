import numpy as np
import pytest
from arrays import close, random
from keras import ops

from layerzoo.ops.streams import doubly_stochastic


def sinkhorn(scores, iterations):
    """Rows and columns of one matrix divided by their sums in turn, in float64."""
    matrix = np.exp(np.array(scores, "float64"))
    for _ in range(iterations):
        matrix /= matrix.sum(axis=1, keepdims=True)
        matrix /= matrix.sum(axis=0, keepdims=True)
    return matrix


@pytest.mark.parametrize("iterations", [1, 3, 20])
def test_it_is_sinkhorns_iteration(iterations):
    scores = 2 * random(3, 2, 4, 4)
    found = doubly_stochastic(scores, iterations)
    for i, j in np.ndindex(3, 2):
        close(found[i, j], sinkhorn(scores[i, j], iterations))


@pytest.mark.parametrize("n", [2, 4, 8])
def test_rows_and_columns_sum_to_one(n):
    found = ops.convert_to_numpy(doubly_stochastic(random(50, n, n)))
    assert (found > 0).all()
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(found.sum(axis=2), 1, atol=1e-3)


def test_large_scores_overflow_nothing():
    found = ops.convert_to_numpy(doubly_stochastic(np.full((3, 3), 500.0, "float32")))
    close(found, np.full((3, 3), 1 / 3))
