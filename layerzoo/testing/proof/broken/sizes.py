"""Layers whose defect shows only at sizes that no bucket has, or only with one value of an argument too.

They are not in `BROKEN`, because the kill matrix draws nothing. `free` must find each of them within its
usual number of examples, whatever the seed.
"""

from collections.abc import Callable
from dataclasses import dataclass

import keras
from keras import ops

from layerzoo.catalogue import Card, Traits
from layerzoo.testing.proof.broken.dense import Sound
from layerzoo.testing.properties import free

register = keras.saving.register_keras_serializable(package="layerzoo.broken")


@register
class CutFromNineSteps(Sound):
    """A block of eight steps is all that comes out."""

    def call(self, inputs, mask=None, training=None):
        return super().call(inputs, training=training)[:, :8]


@register
class StopsFromNineSteps(Sound):
    """From nine steps on, half of the gradient is missing."""

    def call(self, inputs, mask=None, training=None):
        y = super().call(inputs, training=training)
        return (y + ops.stop_gradient(y)) / 2 if (inputs.shape[1] or 0) > 8 else y


@register
class StopsWhereEqual(Sound):
    """Where there are as many steps as features, half of the gradient is missing."""

    def call(self, inputs, mask=None, training=None):
        y = super().call(inputs, training=training)
        return (y + ops.stop_gradient(y)) / 2 if inputs.shape[1] == inputs.shape[2] else y


@register
class DropsTheBatch(Sound):
    """A batch of one with several steps loses its first axis."""

    def call(self, inputs, mask=None, training=None):
        y = super().call(inputs, training=training)
        return y[0] if inputs.shape[0] == 1 and (inputs.shape[1] or 0) > 1 else y


@register
class MixesOneSample(Sound):
    """In a batch of one, each step sees the next one."""

    def call(self, inputs, mask=None, training=None):
        y = super().call(inputs, training=training)
        return y + 0.1 * ops.roll(y, -1, axis=1) if inputs.shape[0] == 1 else y


@register
class DropsTheStep(Sound):
    """With one of two gains, a single step loses its axis."""

    def call(self, inputs, mask=None, training=None):
        y = super().call(inputs, training=training)
        return y[:, 0] if self.gain != 1 and inputs.shape[1] == 1 else y


@register
class CutsSixteenSteps(Sound):
    """With one of two gains, the last of sixteen steps is missing."""

    def call(self, inputs, mask=None, training=None):
        y = super().call(inputs, training=training)
        return y[:, :-1] if self.gain != 1 and inputs.shape[1] == 16 else y


def _card(layer) -> Card:
    return Card(
        layer=layer,
        inputs="b t d",
        configs=lambda pick: dict(units=pick([3, 4]), gain=pick([1.0, 0.7])),
        traits=Traits(masking="propagates", dynamic="b t", causal=True),
    )


@dataclass(frozen=True)
class BrokenBySize:
    """A layer that is broken at some sizes.

    Attributes:
        card: Its card.
        check: The function of `free` that must find it.
        smallest: The sizes to which a find must shrink.
    """

    card: Card
    check: Callable
    smallest: dict[str, int]


BROKEN_BY_SIZE = (
    BrokenBySize(_card(CutFromNineSteps), free.shapes, dict(b=1, d=1, t=9)),
    BrokenBySize(_card(StopsFromNineSteps), free.gradient, dict(b=1, d=1, t=9)),
    BrokenBySize(_card(StopsWhereEqual), free.gradient, dict(b=1, d=1, t=1)),
    BrokenBySize(_card(DropsTheBatch), free.edges, dict(b=1)),
    BrokenBySize(_card(MixesOneSample), free.independence, dict(b=1, d=1, t=2)),
    BrokenBySize(_card(DropsTheStep), free.edges, dict(t=1)),
    BrokenBySize(_card(CutsSixteenSteps), free.edges, dict(t=16)),
)
