"""A layer that makes its parts in `build`, sound and broken in what becomes of them."""

import keras
from keras import layers, ops

from layerzoo.building.recipe import recipe
from layerzoo.catalogue import Card, Traits
from layerzoo.testing.proof.broken.entry import Broken

register = keras.saving.register_keras_serializable(package="layerzoo.broken")


@register
@recipe
class SoundComposite(layers.Layer):
    """A correct layer: two dense maps of each step, with a tanh between them."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        if units < 1:
            raise ValueError(f"`units` must be positive. Received: units={units}")
        self.units = units
        self.supports_masking = True

    def build(self, input_shape):
        self.first = self._dense("first", self.units, input_shape)
        self.second = self._dense("second", input_shape[-1], (*input_shape[:-1], self.units))
        self.input_spec = layers.InputSpec(min_ndim=3, axes={-1: input_shape[-1]})

    def call(self, inputs):
        return self.second(ops.tanh(self.first(inputs)))

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "units": self.units}

    def _dense(self, name, units, shape):
        layer = layers.Dense(units, dtype=self.dtype_policy, name=name)
        layer.build(shape)
        return layer


@register
class PartTrainsOn(SoundComposite):
    """A part that is made last does not know that its owner is frozen."""

    def build(self, input_shape):
        super().build(input_shape)
        self.third = self._dense("third", input_shape[-1], input_shape)

    def call(self, inputs):
        return self.third(super().call(inputs))


@register
class ForgetsQuantization(SoundComposite):
    """A file does not say which parts are quantised."""

    def get_build_config(self):
        return _without(super().get_build_config(), "quantized")


@register
class ForgetsAdapters(SoundComposite):
    """A file does not say which parts have adapters."""

    def get_build_config(self):
        return _without(super().get_build_config(), "lora")


def _without(config, name):
    parts = [{k: v for k, v in part.items() if k != name} for part in config.get("parts", [])]
    return {**config, "parts": parts} if parts else config


def _card(layer) -> Card:
    return Card(
        layer=layer,
        inputs="b t d",
        configs=lambda pick: dict(units=pick([3, 5])),
        dims=lambda pick, config: dict(d=4),
        traits=Traits(masking="propagates", dynamic="b t"),
        errors=[dict(units=0)],
    )


SOUND = (_card(SoundComposite),)
"""Controls: correct layers, on which no property may fail."""

BROKEN = (
    Broken(_card(PartTrainsOn), "C6"),
    Broken(_card(ForgetsQuantization), "C7", raises=True),
    Broken(_card(ForgetsAdapters), "C8"),
)
