"""What a buffer need not keep leaves no trace in it, so the last state is the same however it came."""

import numpy as np
import pytest
from keras import ops

from layerzoo.ops.steps import kept_behind, kept_in_turn


@pytest.mark.parametrize("keep", [kept_behind, kept_in_turn])
@pytest.mark.parametrize("heads", [(), (2,)])
def test_the_last_slot_stays_zero(keep, heads):
    steps = np.random.default_rng(0).normal(size=(2, *heads, 5, 3)).astype("float32")
    mask = np.arange(5) < np.array([[2], [4]])
    buffer, place = ops.zeros((2, *heads, 5, 3)), ops.zeros((2,), "int32")
    (found,), _ = keep([buffer], [ops.convert_to_tensor(steps)], place, ops.convert_to_tensor(mask))
    found = np.moveaxis(ops.convert_to_numpy(found), -2, 1)
    given = np.moveaxis(steps, -2, 1)
    assert not found[:, -1].any()
    np.testing.assert_array_equal(found[0, :2], given[0, :2])
    np.testing.assert_array_equal(found[1, :4], given[1, :4])
    assert not found[0, 2:].any()


def test_steps_beyond_a_window_leave_what_single_steps_leave():
    steps = np.random.default_rng(0).normal(size=(1, 7, 3)).astype("float32")
    start, place = ops.zeros((1, 4, 3)), ops.zeros((1,), "int32")
    (whole,), _ = kept_in_turn([start], [ops.convert_to_tensor(steps)], place)
    buffer = start
    for t in range(7):
        (buffer,), after = kept_in_turn(
            [buffer], [ops.convert_to_tensor(steps[:, t : t + 1])], place
        )
        place = after.next
    np.testing.assert_array_equal(ops.convert_to_numpy(whole), ops.convert_to_numpy(buffer))
