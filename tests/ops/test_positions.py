import numpy as np
import pytest
from arrays import random
from keras import ops

from layerzoo.ops.positions import alibi_slopes, distance_buckets, per_head, rotate


def rotated(x, positions, layout="half"):
    positions = np.asarray(positions)
    return ops.convert_to_numpy(rotate(ops.convert_to_tensor(x), positions, 10.0, layout, 1.0))


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


def test_slopes_of_a_power_of_two_are_kept_by_the_numbers_above_it():
    for heads in range(1, 40):
        slopes, power = alibi_slopes(heads), 2 ** int(np.log2(heads))
        assert len(set(slopes)) == heads
        assert slopes[:power] == alibi_slopes(power)
        assert set(slopes) <= set(alibi_slopes(2 * power))
    assert alibi_slopes(8) == [2.0**-i for i in range(1, 9)]


@pytest.mark.parametrize(("count", "max_distance"), [(16, 128), (3, 7), (2, 2), (5, 3), (64, 1000)])
def test_buckets_grow_with_the_distance_and_the_last_holds_the_greatest(count, max_distance):
    buckets = distance_buckets(count, max_distance)
    assert len(buckets) == max_distance + 1
    assert buckets[: count // 2] == [*range(count // 2)]
    assert buckets == sorted(buckets)
    assert buckets[-1] == count - 1


def test_edges_that_are_powers_begin_their_buckets():
    # With 8 exact buckets of 16, and 128 = 8 * 16, bucket 8 + 2 i begins at 8 * 2 ** i.
    buckets = distance_buckets(16, 128)
    for i in range(1, 4):
        assert (buckets[8 * 2**i - 1], buckets[8 * 2**i]) == (7 + 2 * i, 8 + 2 * i)


def test_rows_by_head():
    table, index = random(5, 3), np.array([[0, 4], [2, 2], [4, 1]])
    found = ops.convert_to_numpy(per_head(ops.convert_to_tensor(table), index))
    np.testing.assert_array_equal(found, table[index].transpose(2, 0, 1))
