"""What a wrong gradient is said to come from, and what is found out about it."""

import re

import keras
import pytest
from keras import ops

from layerzoo.catalogue import Card, Traits
from layerzoo.testing import check_layer
from layerzoo.testing.engine import derivative

pytestmark = pytest.mark.proof


class Scaled(keras.layers.Layer):
    """The identity with a gradient that is a multiple of the right one."""

    def __init__(self, factor, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor

    def call(self, inputs):
        return self.factor * inputs + ops.stop_gradient((1 - self.factor) * inputs)


class ShiftedGradient(keras.layers.Layer):
    """A tangent with the same number added to each entry of its gradient."""

    def call(self, inputs):
        return ops.tanh(inputs) + 0.3 * ops.sum(inputs - ops.stop_gradient(inputs))


class StraightThrough(keras.layers.Layer):
    """Whole numbers with the gradient of the identity."""

    def call(self, inputs):
        return inputs + ops.stop_gradient(ops.round(inputs) - inputs)


class LogarithmInTheOtherBranch(keras.layers.Layer):
    """A logarithm of zero that is not chosen, whose gradient is."""

    def call(self, inputs):
        return ops.where(inputs > -1e3, inputs, ops.log(inputs - inputs))


class WavesInFloat32(keras.layers.Layer):
    """A fast wave computed in float32 whatever the dtype policy, with a multiple of its gradient."""

    def __init__(self, factor, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor

    def call(self, inputs):
        y = ops.cast(ops.sin(130 * ops.cast(inputs, "float32")), inputs.dtype)
        return self.factor * y + ops.stop_gradient((1 - self.factor) * y)


def _failure(layer, **config):
    card = Card(layer, "b t d", configs=lambda pick: config)
    (result,) = check_layer(card, profile="smoke", only=["G1"]).failures
    assert result.status == "failed"
    return result.message


@pytest.mark.parametrize("factor", derivative.RATIOS)
def test_a_multiple_of_the_gradient_is_told(factor):
    message = _failure(Scaled, factor=factor)
    assert derivative.RATIOS[factor] in message
    exact, numeric = re.search(
        r"/ d inputs\S+ \S+ \S+: (\S+) by autodiff, (\S+) by", message
    ).groups()
    assert float(numeric) == pytest.approx(1)
    assert float(exact) == pytest.approx(factor)


@pytest.mark.parametrize(
    ("layer", "hint"),
    [
        (ShiftedGradient, derivative.OFFSET),
        (StraightThrough, derivative.PHANTOM),
        (LogarithmInTheOtherBranch, derivative.NAN),
    ],
)
def test_what_is_wrong_otherwise_is_told(layer, hint):
    assert hint in _failure(layer)


def test_slopes_of_a_wrong_gradient_are_one():
    slopes = re.search(r"Taylor slopes +([\d. ]+)  \(", _failure(Scaled, factor=0.5)).group(1)
    assert [float(each) for each in slopes.split()] == pytest.approx([1, 1, 1], abs=0.05)


def test_a_kink_is_stepped_aside_from():
    card = Card(keras.layers.ReLU, "b t d", traits=Traits(differentiable="kinked"))
    report = check_layer(card, only=["G1"])  # some of whose samples have entries that are zero
    assert report.ok, str(report)


def test_where_rounding_asks_for_large_steps_a_sharp_bend_is_not_taken_for_an_error():
    def result(factor):
        card = Card(WavesInFloat32, "b t d", configs=lambda pick: dict(factor=factor))
        (found,) = check_layer(card, profile="smoke", only=["G1"]).results
        return found

    assert result(1.0).status == "passed"
    wrong = result(1.1)
    assert wrong.status == "failed"
    assert "float32 only" in wrong.message
