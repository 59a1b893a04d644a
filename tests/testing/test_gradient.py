"""What G1 makes of a layer that computes in float32 in a part of it only."""

import keras
import pytest

from layerzoo.catalogue import Card
from layerzoo.testing import check_layer


class Narrow(keras.layers.Layer):
    """A sum of two branches, of which one computes in float32 whatever the policy is."""

    def call(self, inputs):
        """The sum."""
        return keras.ops.tanh(inputs) + self.narrow(keras.ops.cast(inputs, "float32"))

    def narrow(self, inputs):
        """The branch in float32."""
        return keras.ops.cast(3.0 * keras.ops.sin(inputs), self.compute_dtype)


class NarrowAndWrong(Narrow):
    """The same, and half of that branch is kept from the gradient."""

    def narrow(self, inputs):
        """The branch in float32, of which a half is held fixed."""
        moving = super().narrow(inputs) / 2
        return moving + keras.ops.stop_gradient(moving)


@pytest.mark.parametrize(("layer", "sound"), [(Narrow, True), (NarrowAndWrong, False)])
def test_a_branch_in_float32_is_told_from_a_wrong_gradient(layer, sound):
    """The branch moves in jumps of float32, which is no error; a wrong gradient of it still is."""
    report = check_layer(Card(layer, "b t d"), only=["G1"])
    assert report.ok is sound, str(report)
