import numpy as np
import pytest

from layerzoo.building.rotary import (
    grid_sizes,
    optional_sections,
    pairs_by_axis,
    rotary_fraction,
    rotary_scaling,
    within_grid,
)

YARN = dict(rope_type="yarn", factor=4, original_max_position_embeddings=4096)
LLAMA3 = dict(
    rope_type="llama3",
    factor=8,
    low_freq_factor=1,
    high_freq_factor=4,
    original_max_position_embeddings=8192,
)


def test_numbers_and_dicts_become_python_s():
    assert rotary_scaling(10.0, scaling=np.float32(2)) == 2.0
    for given in (YARN, LLAMA3, dict(YARN, truncate=np.bool_(True), beta_fast=np.int64(16))):
        kept = rotary_scaling(10.0, scaling=given)
        assert kept == given
        assert kept is not given
        assert {type(value) for value in kept.values()} <= {str, float, bool}


@pytest.mark.parametrize("value", [0, -1.0, "yarn", None, True, float("inf"), [1.0]])
def test_what_is_neither_a_number_nor_a_dict_is_refused(value):
    with pytest.raises(
        ValueError, match=r"`scaling` must be a positive number or a dict\. Received"
    ):
        rotary_scaling(10.0, scaling=value)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({}, "have one of ('yarn', 'llama3') as its 'rope_type'"),
        (dict(YARN, rope_type="linear"), "have one of ('yarn', 'llama3') as its 'rope_type'"),
        (dict(YARN, rope_type=["yarn"]), "have one of ('yarn', 'llama3') as its 'rope_type'"),
        (dict(rope_type="yarn", factor=2.0), "have the keys ('factor', 'original_max_"),
        (dict(YARN, rope_theta=10.0), "have the keys ('factor', 'original_max_"),
        (dict(LLAMA3, truncate=True), "have the keys ('factor', 'low_freq_factor', "),
        (dict(YARN, factor=0), "have a positive number as its 'factor'"),
        (dict(YARN, attention_factor=None), "have a positive number as its 'attention_factor'"),
        (dict(LLAMA3, low_freq_factor=True), "have a positive number as its 'low_freq_factor'"),
        (dict(YARN, truncate=1), "have True or False as its 'truncate'"),
        (dict(YARN, beta_slow=32), "have a lower number as its 'beta_slow' than"),
        (dict(YARN, beta_fast=0.5), "have a lower number as its 'beta_slow' than"),
        (dict(LLAMA3, low_freq_factor=4), "have a lower number as its 'low_freq_factor' than"),
    ],
)
def test_a_dict_says_what_is_wrong_with_it(value, message):
    with pytest.raises(ValueError, match=r"^`scaling` must ") as caught:
        rotary_scaling(10.0, scaling=value)
    assert str(caught.value).startswith(f"`scaling` must {message}")
    assert str(caught.value).endswith(f". Received: scaling={value!r}")


def test_yarn_needs_a_logarithm_of_the_base():
    with pytest.raises(ValueError, match=r"`base` must be greater than 1 .*Received: base=1"):
        rotary_scaling(1.0, scaling=YARN)
    assert rotary_scaling(1.0, scaling=LLAMA3) == LLAMA3


def test_a_fraction_is_above_0_and_at_most_1():
    assert rotary_fraction(fraction=np.float32(0.25)) == 0.25
    assert rotary_fraction(fraction=1) == 1.0
    for value in (0, -0.5, 1.01, True, None, "half", float("nan")):
        with pytest.raises(
            ValueError, match=r"`fraction` must be above 0 and at most 1\. Received"
        ):
            rotary_fraction(fraction=value)


def test_a_grid_has_two_or_more_sizes_that_may_be_none():
    assert grid_sizes(axes=[np.int64(2), 3]) == (2, 3)
    assert grid_sizes(axes=(None, 3, None)) == (None, 3, None)
    for value in (4, [4], [4, 0], [4, 2.0], [True, 2], "44", None, {4: 1, 2: 1}):
        with pytest.raises(
            ValueError, match=r"`axes` must be two or more positive .*Received: axes="
        ):
            grid_sizes(axes=value)


def test_each_axis_has_a_section():
    assert optional_sections(2, sections=None) is None
    assert optional_sections(2, sections=[np.int32(2), 3]) == (2, 3)
    for value in (4, [4], [4, 0], [4, 2, 1], [1.0, 2], "44"):
        with pytest.raises(ValueError, match=r"each of the 2 axes\. Received: sections="):
            optional_sections(2, sections=value)


def test_pairs_are_shared_out_equally_unless_sections_say_otherwise():
    assert pairs_by_axis(3, None, (2, 5, 12)) == (2, 2, 2)
    assert pairs_by_axis(3, (1, 4, 1), (2, 5, 12)) == (1, 4, 1)


def test_unknown_sizes_fit():
    within_grid((2, 3), (None, None, 8))
    within_grid((None, 3), (2, 100, 8))
    within_grid((2, 3), (2, 6, 8))
