"""An argument that a layer inside another one forgets is named; Keras's own wrappers are not accused."""

import keras
import pytest
from keras import layers

from layerzoo import Card, Residual
from layerzoo.testing import PROPERTIES, check_layer, check_property

register = keras.saving.register_keras_serializable("testing")


@register
class Gain(layers.Layer):
    """A layer whose config drops `gain`."""

    def __init__(self, units=4, gain=1.0, **kwargs):
        super().__init__(**kwargs)
        self.units, self.gain = units, gain

    def build(self, input_shape):
        self.kernel = self.add_weight(shape=(input_shape[-1], self.units), name="kernel")

    def call(self, inputs):
        return self.gain * keras.ops.matmul(inputs, self.kernel)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.units)

    def get_config(self):
        return {**super().get_config(), "units": self.units}


@register
class GainCell(Gain):
    """The same as a cell."""

    state_size = output_size = 4

    def call(self, inputs, states):
        outputs = super().call(inputs)
        return outputs, [outputs]


@register
class OnlyPrivate(Gain):
    """The same, with an argument that is no attribute."""

    def __init__(self, units=4, power=1.0, **kwargs):
        super().__init__(units, gain=2.0**power, **kwargs)


AROUND = {
    "Residual": lambda layer: Residual(layer),
    "a list": lambda layer: Residual([layers.Dense(4), layer]),
    "two wrappers": lambda layer: Residual(layers.TimeDistributed(layer)),
    "TimeDistributed": layers.TimeDistributed,
    "the cell of an RNN": layers.RNN,
}


@pytest.mark.parametrize("around", AROUND.values(), ids=AROUND)
def test_an_argument_lost_inside_is_named(around):
    both = ((Gain(gain=0.5), "gain"), (OnlyPrivate(power=0.5), "power"))
    for layer, lost in [(GainCell(gain=0.5), "gain")] if around is layers.RNN else both:
        wrapped = around(layer)
        (failure,) = check_layer(wrapped, inputs=(2, 5, 4), profile="smoke", only=["C1"]).failures
        assert f"lost            the argument `{lost}` of {type(layer).__name__}" in failure.message
        assert "left by from_config" not in failure.message


def test_an_argument_lost_inside_is_named_by_a_card_too():
    card = Card(
        Residual, "b t d", lambda pick: dict(layer=Gain(gain=0.5)), lambda pick, c: dict(d=4)
    )
    result = check_property(card, PROPERTIES["C1"], "smoke")
    assert "lost            the argument `gain` of Gain" in result.message


@pytest.mark.parametrize("around", AROUND.values(), ids=AROUND)
def test_keras_wrappers_are_not_accused(around):
    inside = layers.SimpleRNNCell(4) if around is layers.RNN else layers.Dense(4, activation="tanh")
    report = check_layer(around(inside), inputs=(2, 5, 4), profile="smoke", only=["C1"])
    assert report.ok, str(report)
