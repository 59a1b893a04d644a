import keras
import numpy as np
import pytest
from keras import ops

from layerzoo.ops.masks import fitting_mask, visible, weigh, with_masks, zero_padding


def test_padding_becomes_zero_whatever_it_holds():
    x = np.array([[[1.0, 2.0], [np.nan, np.inf], [-3.0, 4.0]]], "float32")
    y = ops.convert_to_numpy(zero_padding(x, np.array([[1, 0, 1]])))
    np.testing.assert_array_equal(y, [[[1, 2], [0, 0], [-3, 4]]])
    assert zero_padding(x, None) is x


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_zeroing_keeps_the_dtype(dtype):
    y = zero_padding(ops.ones((1, 2, 3), dtype=dtype), np.array([[True, False]]))
    assert keras.backend.standardize_dtype(y.dtype) == dtype


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("window", [None, 1, 2, 9])
def test_visible_step_by_step(causal, window):
    expected = [
        [(not causal or s <= t) and (window is None or abs(t - s) < window) for s in range(4)]
        for t in range(4)
    ]
    seen = visible(ops.arange(4), ops.arange(4), causal, window)
    if seen is None:
        assert np.all(expected)
    else:
        np.testing.assert_array_equal(ops.convert_to_numpy(seen), expected)


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_softmax_of_half_precision_is_computed_in_float32(dtype):
    scores = ops.cast(np.random.default_rng(0).normal(size=(3, 50), scale=4), dtype)
    exact = np.asarray(ops.convert_to_numpy(ops.cast(scores, "float32")), "float64")
    allowed = np.random.default_rng(1).random((3, 50)) < 0.6
    for seen in (allowed, None):
        weights = np.exp(exact) * (1 if seen is None else seen)
        weights /= weights.sum(axis=-1, keepdims=True)
        result = weigh(scores, allowed=seen)
        assert keras.backend.standardize_dtype(result.dtype) == "float32"
        np.testing.assert_allclose(ops.convert_to_numpy(result), weights, atol=1e-6)


@pytest.mark.parametrize("level", [-1e30, 0.0, 1e30])
def test_what_is_not_allowed_has_no_weight_and_an_empty_row_is_finite(level):
    scores = np.full((2, 3), level, "float32")
    allowed = np.array([[False] * 3, [True, False, True]])
    empty, row = ops.convert_to_numpy(weigh(scores, allowed=allowed))
    np.testing.assert_array_equal(row, [0.5, 0, 0.5])
    assert np.isfinite(empty).all()


def test_a_bias_is_added_before_the_softmax():
    scores, bias = np.random.default_rng(0).normal(size=(2, 3, 4)).astype("float32")
    exact = np.exp(scores + bias)
    found = ops.convert_to_numpy(weigh(scores, bias))
    np.testing.assert_allclose(found, exact / exact.sum(axis=-1, keepdims=True), atol=1e-6)


def test_the_only_step_gets_all_the_weight():
    scores = np.array([[7.0], [-3.0]], "float32")
    np.testing.assert_array_equal(ops.convert_to_numpy(weigh(scores)), [[1], [1]])


def test_a_mask_that_fits_is_taken_in_each_form():
    mask = np.array([[True, True, False], [True, True, True]])
    assert fitting_mask(None, (2, 3)) is None
    for form in (mask, mask.astype("uint8"), mask.astype("float16"), mask.tolist()):
        taken = fitting_mask(form, (2, 3))
        assert keras.backend.standardize_dtype(taken.dtype) == "bool"
        np.testing.assert_array_equal(ops.convert_to_numpy(taken), mask)


@pytest.mark.parametrize(
    ("mask", "told"),
    [
        (True, r"shape \(\)"),
        ("valid", ""),
        ([["yes"] * 3] * 2, ""),
        ([[True] * 3, [True]], r".*\[True\]"),
        (np.ones((2, 1), bool), r"shape \(2, 1\)"),
        ([[0, 1, 2]] * 2, "the value 2"),
    ],
)
def test_a_mask_that_does_not_fit_is_refused(mask, told):
    rule = r"`mask` must be boolean, or 0 and 1, of shape \(2, 3\)\. Received: mask.*"
    with pytest.raises(ValueError, match=rule + told):
        fitting_mask(mask, (2, 3))


def test_a_context_of_another_number_of_samples_is_refused():
    told = r"^`context` must have as many samples.*inputs of shape \(2, 5, 6\), context of shape \(1, 4"
    with pytest.raises(ValueError, match=told):
        with_masks(np.zeros((2, 5, 6)), np.zeros((1, 4, 6)))
    symbol = keras.KerasTensor((None, 4, 6))
    assert with_masks(np.zeros((2, 5, 6)), symbol)[0] is symbol
