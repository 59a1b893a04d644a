"""Layers with several inputs and outputs, sound and broken in masks, losses and structures."""

import keras
from keras import layers, ops, regularizers

from layerzoo.catalogue import Card, Tensor, Traits
from layerzoo.ops.masks import fitting_mask
from layerzoo.testing.proof.broken.entry import Broken

register = keras.saving.register_keras_serializable(package="layerzoo.broken")


@register
class SoundFusion(layers.Layer):
    """A correct layer of two inputs: the mean over the valid steps of one gates each step of the other.

    Example:
        ```python
        import keras
        import numpy as np

        layer = SoundFusion(3)
        print(layer(np.ones((2, 5, 4)), np.ones((2, 3, 2))).shape)
        ```
    """

    def __init__(self, units, penalty=0.0, kernel_regularizer=None, **kwargs):
        super().__init__(**kwargs)
        self._refuse(units)
        self.units, self.penalty = units, penalty
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.supports_masking = True

    def build(self, inputs_shape, context_shape):
        self.kernel = self.add_weight(
            shape=(inputs_shape[-1], self.units), regularizer=self.kernel_regularizer, name="kernel"
        )
        self.gate = self.add_weight(shape=(context_shape[-1], self.units), name="gate")
        self.input_spec = layers.InputSpec(ndim=3, axes={-1: inputs_shape[-1]})

    def call(self, inputs, context, context_mask=None):
        if self.penalty:
            self.add_loss(self.penalty * ops.mean(ops.square(self.gate)))
        gate = ops.sigmoid(ops.matmul(self._pooled(context, context_mask), self.gate))
        return ops.matmul(inputs, self.kernel) * gate[:, None]

    def compute_output_shape(self, inputs_shape, context_shape):
        return (*inputs_shape[:-1], self.units)

    def get_config(self):
        config = super().get_config()
        config.update(
            units=self.units,
            penalty=self.penalty,
            kernel_regularizer=regularizers.serialize(self.kernel_regularizer),
        )
        return config

    def _refuse(self, units):
        if units < 1:
            raise ValueError(f"`units` must be positive. Received: units={units}")

    def _pooled(self, steps, mask):
        if mask is None:
            return ops.mean(steps, axis=1)
        valid = ops.cast(mask, "bool")[..., None]
        total = ops.sum(ops.where(valid, steps, 0.0), axis=1)
        return total / ops.maximum(ops.sum(ops.cast(valid, steps.dtype), axis=1), 1.0)


@register
class SoundMixer(layers.Layer):
    """A correct layer that takes a dict with an integer tensor in it and returns another dict."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.supports_masking = True

    def build(self, input_shape):
        width = input_shape["values"][-1]
        self.kernel = self.add_weight(shape=(width, self.units), name="kernel")
        self.table = self.add_weight(shape=(3, width), name="table")

    def call(self, inputs):
        values, shift, kind = inputs["values"], inputs["shift"], ops.cast(inputs["kind"], "int32")
        mixed = values - 0.5 * shift + ops.take(self.table, kind, axis=0)
        return {
            "mixed": ops.tanh(ops.matmul(mixed, self.kernel)),
            "code": 2 * kind + 1,
        }

    def compute_mask(self, inputs, previous_mask):
        mask = previous_mask["values"] if previous_mask else None
        return {"mixed": mask, "code": mask}

    def compute_output_spec(self, inputs):
        shape = inputs["values"].shape[:-1]
        return {
            "mixed": keras.KerasTensor((*shape, self.units), dtype=self.compute_dtype),
            "code": keras.KerasTensor(shape, dtype="int32"),
        }

    def get_config(self):
        return {**super().get_config(), "units": self.units}


@register
class SoundSummary(SoundFusion):
    """A correct layer that pools both inputs and therefore consumes both masks."""

    def call(self, inputs, context, inputs_mask=None, context_mask=None):
        y = super().call(self._pooled(inputs, inputs_mask)[:, None], context, context_mask)
        return y[:, 0]

    def compute_mask(self, inputs, previous_mask):
        return None

    def compute_output_shape(self, inputs_shape, context_shape):
        return (inputs_shape[0], self.units)


@register
class SoundStrict(SoundFusion):
    """A correct layer that refuses a mask that does not fit."""

    def _pooled(self, steps, mask):
        return super()._pooled(steps, None if mask is None else self._fitting(mask, steps))

    def _fitting(self, mask, steps):
        return fitting_mask(mask, steps.shape[:2], "context_mask")


@register
class OneSampleForAll(SoundStrict):
    """A mask is refused only if its number of steps is wrong: one for a single sample is broadcast."""

    def _fitting(self, mask, steps):
        return fitting_mask(mask, (mask.shape[0], steps.shape[1]), "context_mask")


@register
class AnyNumberIsTrue(SoundStrict):
    """Every number but 0 in a mask counts as valid, such as the -1e9 that other libraries add to scores."""

    def _fitting(self, mask, steps):
        return super()._fitting(ops.cast(mask, "bool"), steps)


@register
class ContextMaskIgnored(SoundFusion):
    """The mask of the second input is accepted but not used."""

    def _pooled(self, steps, mask):
        return super()._pooled(steps, None)


@register
class MaskMultiplied(SoundFusion):
    """Padding is multiplied by zero, which leaves NaN as it is."""

    def _pooled(self, steps, mask):
        if mask is None:
            return ops.mean(steps, axis=1)
        valid = ops.cast(mask, steps.dtype)[..., None]
        return ops.sum(steps * valid, axis=1) / ops.maximum(ops.sum(valid, axis=1), 1.0)


@register
class DividesByNothing(SoundFusion):
    """The mean is 0 / 0 if no step is valid."""

    def _pooled(self, steps, mask):
        if mask is None:
            return ops.mean(steps, axis=1)
        valid = ops.cast(mask, "bool")[..., None]
        total = ops.sum(ops.where(valid, steps, 0.0), axis=1)
        return total / ops.sum(ops.cast(valid, steps.dtype), axis=1)


@register
class CountsPadding(SoundFusion):
    """Padding is left out of the sum but counted in the divisor of the mean."""

    def _pooled(self, steps, mask):
        if mask is None:
            return ops.mean(steps, axis=1)
        return ops.mean(ops.where(ops.cast(mask, "bool")[..., None], steps, 0.0), axis=1)


@register
class PadsRightOnly(SoundFusion):
    """The layer reads from the mask how many steps are valid, but not which."""

    def _pooled(self, steps, mask):
        if mask is not None:
            length = ops.sum(ops.cast(mask, "int32"), axis=1, keepdims=True)
            mask = ops.arange(steps.shape[1]) < length
        return super()._pooled(steps, mask)


@register
class RemembersMask(SoundFusion):
    """A call without a mask uses the mask of an earlier call."""

    seen = None

    def _pooled(self, steps, mask):
        if mask is not None:
            object.__setattr__(self, "seen", mask)
        elif self.seen is not None and self.seen.shape == steps.shape[:2]:
            mask = self.seen
        return super()._pooled(steps, mask)


@register
class InvertsNumbers(SoundFusion):
    """A numeric mask is read the wrong way round, as if 1 meant padding."""

    def _pooled(self, steps, mask):
        if mask is not None and "bool" not in str(mask.dtype):
            mask = ops.equal(mask, 0)
        return super()._pooled(steps, mask)


@register
class MaskNeverFilled(SoundSummary):
    """One of two masks has the argument name that Keras fills only for a single input."""

    def call(self, inputs, context, mask=None, context_mask=None):
        return super().call(inputs, context, mask, context_mask)


@register
class MaskOfOnes(SoundFusion):
    """The mask that is passed on marks padding as valid."""

    def compute_mask(self, inputs, previous_mask):
        return None if previous_mask is None else ops.ones_like(previous_mask, dtype="bool")


@register
class PooledKeepsMask(SoundSummary):
    """The layer only sets `supports_masking`, although its output has no steps."""

    def compute_mask(self, inputs, previous_mask):
        return previous_mask


@register
class FirstOutputMasked(SoundMixer):
    """Both outputs keep the steps, but only one has the mask."""

    def compute_mask(self, inputs, previous_mask):
        return previous_mask["values"] if previous_mask else None


@register
class OutputKeysChange(SoundMixer):
    """The symbolic outputs have different names from the eager ones."""

    def compute_output_spec(self, inputs):
        spec = super().compute_output_spec(inputs)
        return {"mixed": spec["mixed"], "codes": spec["code"]}


@register
class OrderOfDict(SoundMixer):
    """The inputs are distinguished by their order."""

    def call(self, inputs):
        values, shift = (x for name, x in inputs.items() if name != "kind")
        return super().call({"values": values, "shift": shift, "kind": inputs["kind"]})


@register
class FillsCallersDict(SoundMixer):
    """The layer scales a value inside the caller's dict."""

    def __call__(self, inputs, *args, **kwargs):
        inputs["shift"] = inputs["shift"] * 1.0
        return super().__call__(inputs, *args, **kwargs)


@register
class LossesPileUp(SoundFusion):
    """The loss of each call includes the losses of all calls before it."""

    calls = 0

    def call(self, inputs, context, context_mask=None):
        self.calls += 1
        if self.penalty:
            self.add_loss(self.calls * ops.mean(ops.square(self.gate)))
        return super().call(inputs, context, context_mask)


@register
class LossTwice(SoundFusion):
    """The card claims one loss, but two are added."""

    def call(self, inputs, context, context_mask=None):
        if self.penalty:
            self.add_loss(self.penalty * ops.mean(ops.square(self.gate)))
        return super().call(inputs, context, context_mask)


@register
class RegularizerForgotten(SoundFusion):
    """`kernel_regularizer` is accepted and in the config, but no weight has it."""

    def build(self, inputs_shape, context_shape):
        kept, self.kernel_regularizer = self.kernel_regularizer, None
        super().build(inputs_shape, context_shape)
        self.kernel_regularizer = kept


@register
class ClearsLosses(SoundFusion):
    """The layer clears its losses itself, including those of an earlier use in the same model."""

    def call(self, inputs, context, context_mask=None):
        self._clear_losses()
        return super().call(inputs, context, context_mask)


@register
class AnyUnits(SoundFusion):
    """No argument value is refused."""

    def _refuse(self, units):
        pass


@register
class CutsWidth(SoundFusion):
    """Inputs that are too wide are cut."""

    def build(self, inputs_shape, context_shape):
        super().build(inputs_shape, context_shape)
        self.input_spec = None

    def call(self, inputs, context, context_mask=None):
        return super().call(inputs[..., : self.kernel.shape[0]], context, context_mask)


@register
class StaleExample(SoundFusion):
    """The example in the docstring uses an argument that no longer exists.

    Example:
        ```python
        StaleExample(features=3)
        ```
    """


@register
class CountsHalf(SoundMixer):
    """`count_params` counts only the kernel."""

    def count_params(self):
        return int(self.kernel.shape[0] * self.kernel.shape[1])


def _fusion(layer, **traits) -> Card:
    consumes = issubclass(layer, SoundSummary)
    defaults = dict(
        masking={"inputs": "consumes" if consumes else "propagates", "context": "consumes"},
        dynamic="b t s",
        losses=lambda config: int(config["penalty"] > 0),
    )
    return Card(
        layer=layer,
        inputs={"inputs": "b t d", "context": "b s e"},
        configs=lambda pick: dict(
            units=pick([3, 4]),
            penalty=pick([0.0, 0.1]),
            kernel_regularizer=pick([None, "l2"]),
        ),
        traits=Traits(**{**defaults, **traits}),
        errors=[dict(units=0)],
    )


def _mixer(layer) -> Card:
    return Card(
        layer=layer,
        inputs={
            "inputs": {"values": "b t d", "shift": "b t d", "kind": Tensor("b t", "int32", 0, 3)}
        },
        configs=lambda pick: dict(units=pick([3, 4])),
        traits=Traits(masking="propagates", dynamic="b t"),
    )


SOUND = (
    _fusion(SoundFusion, strict_masks=False),
    _fusion(SoundStrict, strict_masks=True),
    _fusion(SoundSummary),
    _mixer(SoundMixer),
)
"""Controls: correct layers, on which no property may fail."""

BROKEN = (
    Broken(_fusion(ContextMaskIgnored), "M1"),
    Broken(_fusion(MaskMultiplied), "M1"),
    Broken(_fusion(DividesByNothing), "M1"),
    Broken(_fusion(CountsPadding), "M1"),
    Broken(_fusion(PadsRightOnly), "M1"),
    Broken(_fusion(RemembersMask), "M1"),
    Broken(_fusion(MaskOfOnes), "M2"),
    Broken(_fusion(PooledKeepsMask), "M2"),
    Broken(_mixer(FirstOutputMasked), "M2"),
    Broken(_fusion(InvertsNumbers), "M3"),
    Broken(_fusion(MaskNeverFilled), "M3"),
    Broken(_fusion(SoundFusion, strict_masks=True), "M4"),
    Broken(_fusion(OneSampleForAll, strict_masks=True), "M4"),
    Broken(_fusion(AnyNumberIsTrue, strict_masks=True), "M4"),
    Broken(_fusion(SoundStrict, strict_masks=False), "M4"),
    Broken(_mixer(OutputKeysChange), "S1"),
    Broken(_fusion(ClearsLosses), "L2"),
    Broken(_mixer(OrderOfDict), "L3"),
    Broken(_mixer(FillsCallersDict), "L4"),
    Broken(_fusion(LossesPileUp), "L5"),
    Broken(_fusion(LossTwice), "L5"),
    Broken(_fusion(RegularizerForgotten), "L5"),
    Broken(_fusion(AnyUnits), "L6"),
    Broken(_fusion(CutsWidth), "L6"),
    Broken(_fusion(StaleExample), "L7"),
    Broken(_mixer(CountsHalf), "L7"),
)
