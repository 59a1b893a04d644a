import pytest

from layerzoo.building.heads import head_width, valid_heads


def test_heads_are_positive_integers_of_which_one_divides_the_other():
    valid_heads(4)
    valid_heads(4, 2, 3)
    for heads in [(0,), (2.0,), (4, 0), (4, 2, 0)]:
        with pytest.raises(ValueError, match=r"must be a positive integer\. Received: "):
            valid_heads(*heads)
    with pytest.raises(ValueError, match="Received: num_heads=4, num_key_value_heads=3"):
        valid_heads(4, 3)


def test_a_head_is_as_wide_as_asked_or_takes_its_share():
    assert head_width(2, None, (None, 5, 6)) == 3
    assert head_width(4, 5, (None, 5, 6)) == 5
    with pytest.raises(ValueError, match=r"Received: num_heads=4, input_shape=\(None, 5, 6\)"):
        head_width(4, None, (None, 5, 6))
    with pytest.raises(ValueError, match=r"known size. Received: input_shape=\(None, 5, None\)"):
        head_width(4, 5, (None, 5, None))
