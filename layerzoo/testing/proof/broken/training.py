"""Layers whose defect shows only in training, at another length, or with another mask than the first."""

import keras
from keras import ops

from layerzoo.catalogue import Card, Traits
from layerzoo.testing.proof.broken.attention import SoundAttention, SoundNoise
from layerzoo.testing.proof.broken.dense import Sound, SoundPooling
from layerzoo.testing.proof.broken.entry import Broken

register = keras.saving.register_keras_serializable(package="layerzoo.broken")


@register
class NoiseForImages(SoundNoise):
    """The noise has four axes whatever the input has, so that the output has them too in training."""

    def drawn(self, inputs):
        return (ops.shape(inputs)[0], 1, 1, 1)


@register
class ListInTraining(Sound):
    """In training the output is in a list."""

    def call(self, inputs, mask=None, training=None):
        y = super().call(inputs, mask=mask, training=training)
        return [y] if training else y


@register
class NeedsTheLength(Sound):
    """In training the layer needs a known number of steps, which TensorFlow may not have."""

    def call(self, inputs, mask=None, training=None):
        y = super().call(inputs, training=training)
        return y / inputs.shape[1] * inputs.shape[1] if training else y


@register
class SinglePrecisionInTraining(Sound):
    """In training the output is float32 whatever the dtype policy says."""

    def call(self, inputs, mask=None, training=None):
        y = super().call(inputs, training=training)
        return ops.cast(y, "float32") if training else y


@register
class TrainsUnasked(Sound):
    """The layer trains unless it is told not to."""

    def call(self, inputs, mask=None, training=True):
        return super().call(inputs, mask=mask, training=training)


@register
class LosesMaskInTraining(Sound):
    """After a call in training the mask is not passed on."""

    dropping = False

    def call(self, inputs, mask=None, training=None):
        object.__setattr__(self, "dropping", bool(training))
        return super().call(inputs, mask=mask, training=training)

    def compute_mask(self, inputs, previous_mask):
        return None if self.dropping else previous_mask


@register
class KeepsTheFirstMask(Sound):
    """The first mask is passed on in every later call."""

    first = None

    def compute_mask(self, inputs, previous_mask):
        if self.first is None and not isinstance(previous_mask, keras.KerasTensor):
            object.__setattr__(self, "first", previous_mask)
        if previous_mask is None or self.first is None or self.first.shape != previous_mask.shape:
            return previous_mask
        return self.first


@register
class ScaledByLength(Sound):
    """A causal output depends on how many steps there are."""

    def call(self, inputs, mask=None, training=None):
        length = ops.cast(ops.shape(inputs)[1], self.compute_dtype)
        return super().call(inputs, training=training) * (1 + 0.1 / length)


@register
class LooksAheadInTraining(SoundAttention):
    """In training each step sees all others."""

    def call(self, inputs, mask=None, training=None):
        object.__setattr__(self, "open", bool(training))
        return super().call(inputs, mask=mask, training=training)

    def seen(self, distance):
        return None if self.open else super().seen(distance)


@register
class LooksAheadInLongInputs(SoundAttention):
    """Beyond 32 steps, each step sees all others."""

    def seen(self, distance):
        return None if (distance.shape[0] or 0) > 32 else super().seen(distance)


@register
class CountsPaddingInTraining(SoundPooling):
    """In training padding is part of the mean."""

    def call(self, inputs, mask=None, training=None):
        return super().call(inputs, mask=None if training else mask, training=training)


@register
class CountsPaddingOfLongInputs(SoundPooling):
    """Beyond 32 steps padding is part of the mean."""

    def call(self, inputs, mask=None, training=None):
        mask = None if (inputs.shape[1] or 0) > 32 else mask
        return super().call(inputs, mask=mask, training=training)


@register
class CountsPaddingOfOneSample(SoundPooling):
    """In a batch of one, padding is part of the mean."""

    def call(self, inputs, mask=None, training=None):
        if mask is not None and mask.shape[0] == 1:
            mask = ops.broadcast_to(ops.any(mask, axis=1, keepdims=True), mask.shape)
        return super().call(inputs, mask=mask, training=training)


@register
class CouplesInTraining(Sound):
    """In training a little of the batch mean is added to each sample."""

    def call(self, inputs, mask=None, training=None):
        y = super().call(inputs, training=training)
        return y + 0.01 * ops.mean(y, axis=0, keepdims=True) if training else y


@register
class SharesItsGain(Sound):
    """In training, a layer has the gain of the last layer that was built, which the class keeps."""

    shared = 1.0

    def build(self, input_shape):
        super().build(input_shape)
        type(self).shared = self.gain

    def call(self, inputs, mask=None, training=None):
        y = super().call(inputs, training=training)
        return y / self.gain * self.shared if training else y


@register
class StaysInTraining(Sound):
    """An error in training leaves the layer in training."""

    open = False

    def call(self, inputs, mask=None, training=None):
        open = self.open
        object.__setattr__(self, "open", bool(training))
        y = super().call(inputs, mask=mask, training=training or open)
        object.__setattr__(self, "open", False)
        return y


@register
class ForgetsItsStatistic(Sound):
    """The file leaves out a statistic that only training uses."""

    def build(self, input_shape):
        super().build(input_shape)
        self.scale = self.add_weight(shape=(), initializer="ones", trainable=False, name="scale")

    def call(self, inputs, mask=None, training=None):
        y = super().call(inputs, mask=mask, training=training)
        if not training:
            return y
        y = y * ops.cast(ops.copy(self.scale), y.dtype)  # on PyTorch a gradient reads it later
        self.scale.assign(0.9 * self.scale + 0.05)
        return y

    def save_own_variables(self, store):
        for place, weight in enumerate(self.trainable_weights):
            store[str(place)] = ops.convert_to_numpy(weight)

    def load_own_variables(self, store):
        for place, weight in enumerate(self.trainable_weights):
            weight.assign(store[str(place)])


@register
class SumsItsLoss(Sound):
    """The loss that a call adds is a sum over the batch: parts of a batch add less than the whole."""

    def call(self, inputs, mask=None, training=None):
        y = super().call(inputs, mask=mask, training=training)
        self.add_loss(0.01 * ops.sum(ops.square(ops.cast(y, "float32"))))
        return y


@register
class ReordersWhenLoaded(Sound):
    """A loaded layer has its weights in another order, so that Adam's moments go to the wrong ones."""

    names = ("slope", "start")

    def build(self, input_shape):
        super().build(input_shape)
        made = {name: self.add_weight(shape=(self.units,), name=name) for name in self.names}
        self.slope, self.start = made["slope"], made["start"]

    def build_from_config(self, config):
        self.names = ("start", "slope")
        super().build_from_config(config)

    def call(self, inputs, mask=None, training=None):
        y = super().call(inputs, mask=mask, training=training)
        return y + self.slope * y + self.start

    def save_own_variables(self, store):
        for weight in self.weights:
            store[weight.name] = ops.convert_to_numpy(weight)

    def load_own_variables(self, store):
        for weight in self.weights:
            weight.assign(store[weight.name])


@register
class IdleMomentum(Sound):
    """An argument is kept, and has no effect."""

    def __init__(self, units, momentum=0.9, **kwargs):
        super().__init__(units, **kwargs)
        self.momentum = momentum

    def get_config(self):
        return {**super().get_config(), "momentum": self.momentum}


@register
class StartsAnyhow(Sound):
    """The initializer is kept, and the kernel starts with another one."""

    def __init__(self, units, kernel_initializer="glorot_uniform", **kwargs):
        super().__init__(units, **kwargs)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def get_config(self):
        written = keras.initializers.serialize(self.kernel_initializer)
        return {**super().get_config(), "kernel_initializer": written}


def _noisy(layer, options=None, **traits) -> Card:
    """The card of a layer that always has noise in training, so that training may differ from inference.

    `options` are those of further arguments, by name.
    """
    attention = issubclass(layer, SoundAttention)
    pooling = issubclass(layer, SoundPooling)
    defaults = dict(
        masking="consumes" if pooling else "propagates",
        dynamic="b t",
        causal=None if pooling else True,
        stochastic=True,
    )
    rate = "dropout" if attention else "rate"
    kept = dict(num_heads=2, causal=True) if attention else {}
    return Card(
        layer=layer,
        inputs="b t d",
        configs=lambda pick: {
            **(kept or dict(units=pick([3, 4]), gain=pick([1.0, 0.7]))),
            rate: pick([0.5, 0.2]),
            "seed": pick([None, 3]),
            **{name: pick(each) for name, each in (options or {}).items()},
        },
        dims=lambda pick, config: dict(d=4),
        traits=Traits(**{**defaults, **traits}),
    )


def _images(layer) -> Card:
    return Card(
        layer=layer,
        inputs="b t d",
        configs=lambda pick: dict(stddev=pick([0.5, 0.3]), seed=pick([None, 3])),
        traits=Traits(dynamic="b t d", stochastic=True),
    )


SOUND = (_noisy(Sound), _noisy(SoundPooling), _noisy(SoundAttention))
"""Controls: correct layers, on which no property may fail."""

BROKEN = (
    Broken(_noisy(ListInTraining), "S1"),
    Broken(_images(NoiseForImages), "S1"),
    Broken(_noisy(NeedsTheLength), "S2", raises=True, sound_on=("jax", "torch")),
    Broken(_noisy(SinglePrecisionInTraining), "S3"),
    Broken(_noisy(TrainsUnasked), "R2"),
    Broken(_noisy(LosesMaskInTraining), "M2"),
    Broken(_noisy(KeepsTheFirstMask), "M2"),
    Broken(_noisy(ScaledByLength, masking=None), "I2"),
    Broken(_noisy(LooksAheadInTraining), "I2"),
    Broken(_noisy(LooksAheadInLongInputs), "I2"),
    Broken(_noisy(CountsPaddingInTraining), "M1"),
    Broken(_noisy(CountsPaddingOfLongInputs), "M1"),
    Broken(_noisy(CountsPaddingOfOneSample), "M1"),
    Broken(_noisy(CouplesInTraining), "I1"),
    Broken(_noisy(SharesItsGain), "B5"),
    Broken(_noisy(StaysInTraining), "B5"),
    Broken(_noisy(ForgetsItsStatistic, state="training"), "C3"),
    Broken(_noisy(SumsItsLoss, losses=1), "G9"),
    Broken(_noisy(ReordersWhenLoaded), "C3"),
    Broken(_noisy(IdleMomentum, dict(momentum=[0.9, 0.5])), "C9"),
    Broken(_noisy(StartsAnyhow, dict(kernel_initializer=["glorot_uniform", "ones"])), "C9"),
)
