"""A layer that starts as the identity, sound and broken in how it starts."""

import keras
from keras import initializers, layers, ops

from layerzoo.catalogue import Card, Traits
from layerzoo.testing.proof.broken.entry import Broken

register = keras.saving.register_keras_serializable(package="layerzoo.broken")


@register
class SoundStart(layers.Layer):
    """A correct layer: adds a dense map of each step, times a learned gain that starts at `start`."""

    KERNEL = "glorot_uniform"

    def __init__(self, start=0.0, **kwargs):
        super().__init__(**kwargs)
        self.start = start

    def build(self, input_shape):
        width = input_shape[-1]
        self.kernel = self.add_weight((width, width), self.KERNEL, name="kernel")
        self.gain = self.add_weight((), initializers.Constant(self.start), name="gain")
        self.input_spec = layers.InputSpec(min_ndim=2, axes={-1: width})

    def call(self, inputs):
        return inputs + self.gain * ops.tanh(ops.matmul(inputs, self.kernel))

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "start": self.start}


@register
class AlmostIdentity(SoundStart):
    """Each output is a millionth larger."""

    def call(self, inputs):
        return super().call(inputs) * (1 + 1e-6)


@register
class DeadAtTheStart(SoundStart):
    """The gain and the kernel both start at zero, so that no gradient moves either of them."""

    KERNEL = "zeros"


def _card(layer, **claims) -> Card:
    starts = dict(identity_at_start=lambda config: config["start"] == 0)
    return Card(
        layer=layer,
        inputs="b t d",
        configs=lambda pick: dict(start=pick([0.0, 0.5])),
        traits=Traits(dynamic="b t", **{**starts, **claims}),
    )


SOUND = (_card(SoundStart),)
"""Controls: correct layers, on which no property may fail."""

BROKEN = (
    Broken(_card(AlmostIdentity), "G10"),
    Broken(_card(DeadAtTheStart), "G10"),
    Broken(_card(SoundStart, identity_at_start=True), "G10"),
)
"""The broken layers of this module."""
