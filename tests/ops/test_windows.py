import numpy as np
import pytest
from keras import ops

from layerzoo.ops.windows import (
    cut_into_windows,
    join_windows,
    offset_bias,
    parts_of_windows,
    rolled,
    windows_along,
)

SIZES = [(6, 6, 3), (5, 7, 3), (2, 9, 4), (1, 1, 1)]


@pytest.mark.parametrize(("y", "x", "window"), SIZES)
@pytest.mark.parametrize("shift", [0, 1, 2])
def test_what_is_cut_is_joined_again(y, x, window, shift):
    shift = shift % window
    image = np.random.default_rng(0).normal(size=(2, y, x, 3)).astype("float32")
    windows = cut_into_windows(ops.convert_to_tensor(image), window, shift)
    rows, columns = windows_along(y, window), windows_along(x, window)
    assert tuple(windows.shape) == (2, rows, columns, window**2, 3)
    joined = ops.convert_to_numpy(join_windows(windows, window, shift, y, x))
    np.testing.assert_array_equal(joined, image)


@pytest.mark.parametrize(("y", "x", "window"), SIZES)
@pytest.mark.parametrize("shift", [0, 1, 2])
def test_parts_tell_who_sees_whom(y, x, window, shift):
    """Each pair of pixels in one window and one part is one pair of neighbours, and the other way."""
    shift = shift % window
    parts = parts_of_windows(1, y, x, window, shift)
    if parts is None:
        assert (y % window, x % window, shift) == (0, 0, 0)
        return
    number = 1 + np.arange(y * x, dtype="int32").reshape(1, y, x, 1)
    numbers = cut_into_windows(ops.convert_to_tensor(number), window, shift)
    numbers = ops.convert_to_numpy(numbers).reshape(-1, window**2)
    found = set()
    for row, part in zip(numbers, ops.convert_to_numpy(parts).reshape(-1, window**2), strict=True):
        np.testing.assert_array_equal(part > 0, row > 0)
        found |= {
            (p, r)
            for p, of_p in zip(row, part, strict=True)
            if of_p
            for r, of_r in zip(row, part, strict=True)
            if of_r == of_p
        }
    places = {n + 1: divmod(n, x) for n in range(y * x)}
    window_of = {n: ((i - shift) // window, (j - shift) // window) for n, (i, j) in places.items()}
    due = {(p, r) for p in places for r in places if window_of[p] == window_of[r]}
    assert found == due


def test_sides_without_a_size_have_no_number_of_windows():
    assert [windows_along(size, 4) for size in (None, 1, 4, 5)] == [None, 1, 1, 2]


def test_each_offset_has_a_row_of_its_own():
    table = np.arange(25, dtype="float32")[:, None]
    bias = ops.convert_to_numpy(offset_bias(ops.convert_to_tensor(table), 3))[0]
    for p, r in np.ndindex(9, 9):
        down, right = p // 3 - r // 3, p % 3 - r % 3
        assert bias[p, r] == (down + 2) * 5 + right + 2


@pytest.mark.parametrize("shift", [-3, -1, 0, 2])
def test_rolled_is_numpys_roll_the_other_way(shift):
    image = np.random.default_rng(0).normal(size=(2, 5, 4, 3))
    found = ops.convert_to_numpy(rolled(ops.convert_to_tensor(image), shift))
    np.testing.assert_array_equal(
        found, np.roll(image, (-shift, -shift), (1, 2)).astype(found.dtype)
    )
