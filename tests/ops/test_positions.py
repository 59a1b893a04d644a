import numpy as np
import pytest
from keras import ops

from layerzoo.ops.positions import rotate


def rotated(x, positions, layout="half"):
    positions = np.asarray(positions)
    return ops.convert_to_numpy(rotate(ops.convert_to_tensor(x), positions, 10.0, layout, 1.0))


def random(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def test_a_pair_turns_from_its_first_axis_to_its_second():
    first = np.array([[[1.0, 0.0]]], "float32")
    for layout in ("half", "interleaved"):
        turned = rotated(first, [np.pi / 2], layout)
        np.testing.assert_allclose(turned, [[[0.0, 1.0]]], atol=1e-6)


@pytest.mark.parametrize("layout", ["half", "interleaved"])
def test_turns_add_up_and_back(layout):
    x = random(2, 3, 4)
    twice = rotated(rotated(x, [1, 2, 3], layout), [4, 1, -3], layout)
    np.testing.assert_allclose(twice, rotated(x, [5, 3, 0], layout), atol=1e-5)
    np.testing.assert_allclose(twice[:, 2], x[:, 2], atol=1e-5)


def test_the_layouts_are_one_permutation_apart():
    x = random(2, 3, 6)
    order = [0, 3, 1, 4, 2, 5]  # halves, dealt into pairs
    halves = rotated(x, [1, 2, 3])[..., order]
    np.testing.assert_allclose(halves, rotated(x[..., order], [1, 2, 3], "interleaved"), atol=1e-6)


def test_positions_may_differ_from_sample_to_sample_and_hold_for_every_head():
    x, positions = random(2, 3, 5, 4), [[0, 1, 2], [7, 8, 9]]
    together = rotated(x, positions)
    for b in range(2):
        for head in range(5):
            alone = rotated(x[b : b + 1, :, head], positions[b])
            np.testing.assert_allclose(together[b : b + 1, :, head], alone, atol=1e-6)
