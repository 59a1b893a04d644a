"""A dense map of each step with a gain and noise, sound and broken in each group of properties."""

import keras
from keras import activations, layers, ops

from layerzoo.catalogue import Card, Traits
from layerzoo.testing.proof.broken.entry import Broken

register = keras.saving.register_keras_serializable(package="layerzoo.broken")


@register
class Sound(layers.Layer):
    """A correct layer: a dense map of each step, times a gain, with noise in training."""

    def __init__(self, units, gain=1.0, activation="tanh", rate=0.0, seed=None, **kwargs):
        super().__init__(**kwargs)
        if units < 1:
            raise ValueError(f"`units` must be positive. Received: units={units}")
        self.units, self.gain, self.rate, self.seed = units, gain, rate, seed
        self.activation = activations.get(activation)
        self.noise = layers.Dropout(rate, seed=seed, dtype=self.dtype_policy, name="noise")
        self.supports_masking = True

    def build(self, input_shape):
        self.kernel = self.add_weight(shape=(input_shape[-1], self.units), name="kernel")
        self.bias = self.add_weight(shape=(self.units,), initializer="zeros", name="bias")
        self.input_spec = layers.InputSpec(min_ndim=3, axes={-1: input_shape[-1]})

    def call(self, inputs, mask=None, training=None):
        y = self.activation(ops.matmul(inputs, self.kernel) + self.bias) * self.gain
        return self.noise(y, training=training)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.units)

    def get_config(self):
        config = super().get_config()
        config.update(
            units=self.units,
            gain=self.gain,
            activation=activations.serialize(self.activation),
            rate=self.rate,
            seed=self.seed,
        )
        return config


@register
class SoundPooling(Sound):
    """A correct layer that averages the valid steps and consumes the mask."""

    def call(self, inputs, mask=None, training=None):
        inputs = ops.where(mask[..., None], inputs, 0.0) if mask is not None else inputs
        y = super().call(inputs, training=training)
        weight = ops.ones_like(y[..., :1]) if mask is None else ops.cast(mask[..., None], y.dtype)
        return ops.sum(y * weight, axis=1) / ops.maximum(ops.sum(weight, axis=1), 1.0)

    def compute_mask(self, inputs, previous_mask):
        return None

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.units)


@register
class ConfigDropsArgument(Sound):
    """`gain` is missing from the config."""

    def get_config(self):
        config = super().get_config()
        del config["gain"]
        return config


@register
class ConfigNotJson(Sound):
    """The config holds an array."""

    def get_config(self):
        return {**super().get_config(), "gain": ops.convert_to_numpy(ops.ones(1)) * self.gain}


@register
class ConfigChangesWhenBuilt(Sound):
    """`build` overwrites an argument that the config reports."""

    def build(self, input_shape):
        super().build(input_shape)
        self.gain = self.gain * 2.0


@register
class FromConfigPops(Sound):
    """`from_config` changes the caller's dict."""

    @classmethod
    def from_config(cls, config):
        units = config.pop("units")
        return cls(units, **config)


@register
class ConfigDropsTrainable(Sound):
    """`trainable` does not reach the base class."""

    def __init__(self, units, trainable=True, **kwargs):
        super().__init__(units, **kwargs)


class NotRegistered(Sound):
    """Keras cannot find the class when it loads a file."""


@register
class WeightInCall(Sound):
    """The first call makes a weight, not `build`."""

    def build(self, input_shape):
        self.kernel = self.add_weight(shape=(input_shape[-1], self.units), name="kernel")
        self.bias = 0.0
        self.width = input_shape[-1]
        self.input_spec = layers.InputSpec(min_ndim=3, axes={-1: input_shape[-1]})

    def call(self, inputs, mask=None, training=None):
        if not hasattr(self, "late"):
            self._tracker.unlock()
            self.late = layers.Dense(self.width, name="late")
            self._tracker.lock()
        return super().call(self.late(inputs), training=training)


@register
class BuildNeedsTuple(Sound):
    """`build` fails for a list, which is what JSON makes of a shape."""

    def build(self, input_shape):
        super().build(input_shape[:-1] + (input_shape[-1],))  # noqa: RUF005  that is the defect


@register
class BuildForgetsPart(Sound):
    """`build` does not build a sub-layer, so its weights are missing when a weights file is read."""

    def __init__(self, units, **kwargs):
        super().__init__(units, **kwargs)
        self.inner = layers.Dense(units, name="inner")

    def call(self, inputs, mask=None, training=None):
        return self.inner(super().call(inputs, training=training))


@register
class HiddenVariable(Sound):
    """A variable is kept where Keras does not look."""

    def build(self, input_shape):
        super().build(input_shape)
        object.__setattr__(self, "hidden", (lambda v: lambda: v)(keras.Variable([1.0])))


@register
class WrongOutputShape(Sound):
    """`compute_output_shape` is off by one."""

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.units + 1)


@register
class FixedTime(Sound):
    """If the number of steps is unknown, `compute_output_shape` claims 5."""

    def compute_output_shape(self, input_shape):
        return (input_shape[0], input_shape[1] or 5, self.units)


@register
class IntegerOutput(Sound):
    """The eager output is an integer, the symbolic one a float."""

    def call(self, inputs, mask=None, training=None):
        y = super().call(inputs, training=training)
        return ops.cast(ops.round(y), "int32")


@register
class HalfGradient(Sound):
    """Half of the gradient is stopped."""

    def call(self, inputs, mask=None, training=None):
        y = super().call(inputs, training=training)
        return 0.5 * y + 0.5 * ops.stop_gradient(y)


@register
class WrongCustomGradient(Sound):
    """A hand-written gradient is 1 % too large."""

    def call(self, inputs, mask=None, training=None):
        @ops.custom_gradient
        def identity(x):
            def grad(*args, upstream=None):
                return (args[0] if upstream is None else upstream) * 1.01

            return x * 1.0, grad

        return identity(super().call(inputs, training=training))


@register
class DeadWeight(Sound):
    """A trainable weight is not used."""

    def build(self, input_shape):
        super().build(input_shape)
        self.unused = self.add_weight(shape=(2,), name="unused")

    def call(self, inputs, mask=None, training=None):
        return super().call(inputs, training=training) + 0.0 * ops.sum(self.unused)


@register
class NormAtZero(Sound):
    """The derivative of a norm is not defined at zero."""

    def call(self, inputs, mask=None, training=None):
        norm = ops.sqrt(ops.sum(ops.square(inputs), axis=-1, keepdims=True))
        return super().call(inputs, training=training) + norm


@register
class FrozenStepMoves(Sound):
    """A non-trainable weight changes in training, and the card does not say so."""

    def build(self, input_shape):
        super().build(input_shape)
        self.count = self.add_weight(shape=(), initializer="zeros", trainable=False, name="count")

    def call(self, inputs, mask=None, training=None):
        if training:
            self.count.assign(self.count + 1.0)
        return super().call(inputs, training=training)


@register
class CastsToFloat32(Sound):
    """The output does not have the compute dtype."""

    def call(self, inputs, mask=None, training=None):
        return ops.cast(super().call(inputs, training=training), "float32")

    def compute_output_spec(self, inputs, mask=None, training=None):
        return keras.KerasTensor(self.compute_output_shape(inputs.shape), dtype="float32")


@register
class ChildIgnoresPolicy(Sound):
    """A sub-layer is made without the layer's dtype policy."""

    def build(self, input_shape):
        super().build(input_shape)
        self.child = layers.Dense(self.units, dtype="float32", name="child")
        self.child.build((*input_shape[:-1], self.units))

    def call(self, inputs, mask=None, training=None):
        y = self.child(super().call(inputs, training=training))
        return ops.cast(y, self.compute_dtype)


@register
class Overflows(Sound):
    """A power overflows for large inputs."""

    def call(self, inputs, mask=None, training=None):
        size = ops.log(ops.sum(ops.exp(inputs), axis=-1, keepdims=True))
        return super().call(inputs, training=training) + size


@register
class LeaksPadding(Sound):
    """Padding is included in the mean of the steps."""

    def call(self, inputs, mask=None, training=None):
        return super().call(inputs - ops.mean(inputs, axis=1, keepdims=True), training=training)


@register
class LosesMask(Sound):
    """The mask is dropped silently."""

    def compute_mask(self, inputs, previous_mask):
        return None


@register
class StaleMask(SoundPooling):
    """The time axis is gone, but the mask is passed on."""

    def compute_mask(self, inputs, previous_mask):
        return previous_mask


@register
class CouplesBatch(Sound):
    """A little of the batch mean is added to each sample."""

    def call(self, inputs, mask=None, training=None):
        y = super().call(inputs, training=training)
        return y + 0.01 * ops.mean(y, axis=0, keepdims=True)


@register
class LooksAhead(Sound):
    """Each step sees the next one."""

    def call(self, inputs, mask=None, training=None):
        later = ops.concatenate([inputs[:, 1:], inputs[:, :1]], axis=1)
        return super().call(inputs + 0.1 * later, training=training)


@register
class NoisyInference(Sound):
    """Noise at inference."""

    def __init__(self, units, **kwargs):
        super().__init__(units, **kwargs)
        self.generator = keras.random.SeedGenerator(1)

    def call(self, inputs, mask=None, training=None):
        y = super().call(inputs, training=training)
        return y + 1e-3 * keras.random.normal(ops.shape(y), dtype=y.dtype, seed=self.generator)


@register
class TrainingDiffers(Sound):
    """The output is scaled in training, and the card does not say so."""

    def call(self, inputs, mask=None, training=None):
        y = super().call(inputs, training=training)
        return y * 1.1 if training else y


@register
class SilentNoise(Sound):
    """The card claims noise in training, but there is none."""

    def call(self, inputs, mask=None, training=None):
        return super().call(inputs, training=False)


@register
class GlobalNoise(Sound):
    """The noise follows NumPy's global seed instead of the layer's."""

    def call(self, inputs, mask=None, training=None):
        import numpy as np

        y = super().call(inputs, training=training)
        return y + float(np.random.normal()) if training else y


@register
class CompilesDifferently(Sound):
    """The layer behaves differently if it is traced."""

    def call(self, inputs, mask=None, training=None):
        from layerzoo.tensors import compat, tracing

        y = super().call(inputs, training=training)
        eager = compat.BACKEND != "torch" and not tracing.is_traced(inputs)
        return y if eager or not _compiling() else y * 1.001


@register
class FrozenNoise(Sound):
    """The noise is drawn only once, when the call is compiled."""

    def call(self, inputs, mask=None, training=None):
        import numpy as np

        y = super().call(inputs, training=False)
        return y + np.random.default_rng().normal() if training else y


@register
class KeepsTracer(Sound):
    """The layer stores its last output on itself."""

    def call(self, inputs, mask=None, training=None):
        y = super().call(inputs, training=training)
        object.__setattr__(self, "last", y)
        return y


@register
class NotInSequential(Sound):
    """A second input is required, although only one is given."""

    def call(self, inputs, mask=None, training=None):
        if inputs.shape[0] is None:
            raise TypeError("the batch must be known")
        return super().call(inputs, training=training)

    def compute_output_spec(self, inputs, mask=None, training=None):
        return self.call(inputs)


@register
class NewWeightsPerUse(Sound):
    """Each symbolic use makes its own weights."""

    def call(self, inputs, mask=None, training=None):
        return super().call(inputs, training=training)

    def __call__(self, inputs, *args, **kwargs):
        y = super().__call__(inputs, *args, **kwargs)
        if isinstance(inputs, keras.KerasTensor):
            self._tracker.unlock()
            self.extra = [*getattr(self, "extra", []), keras.Variable([0.0], trainable=False)]
            self._tracker.lock()
        return y


@register
class ChangesItsInput(Sound):
    """The caller's array is scaled in place."""

    def __call__(self, inputs, *args, **kwargs):
        if hasattr(inputs, "__array_interface__"):
            inputs *= 1.5
        return super().__call__(inputs, *args, **kwargs)


@register
class AcceptsAnything(Sound):
    """A last axis of the wrong size is cut instead of refused."""

    def build(self, input_shape):
        super().build(input_shape)
        self.input_spec = None

    def call(self, inputs, mask=None, training=None):
        return super().call(inputs[..., : self.kernel.shape[0]], training=training)


@register
class CastsBack(Sound):
    """The outputs have the dtype of the inputs, so that integers lose what stands after the point."""

    def call(self, inputs, mask=None, training=None):
        y = super().call(ops.cast(inputs, self.compute_dtype), training=training)
        return ops.cast(y, inputs.dtype)


def _compiling() -> bool:
    from layerzoo.tensors import compat

    if compat.BACKEND != "torch":
        return True
    import torch

    return torch.compiler.is_compiling()


def _card(layer, **traits) -> Card:
    pooling = issubclass(layer, SoundPooling)
    defaults = dict(
        masking="consumes" if pooling else "propagates",
        dynamic="b t",
        causal=None if pooling else True,
        stochastic=lambda config: config["rate"] > 0,
    )
    return Card(
        layer=layer,
        inputs="b t d",
        configs=lambda pick: dict(
            units=pick([3, 4]),
            gain=pick([1.0, 0.7]),
            activation=pick(["tanh", "sigmoid"]),
            rate=pick([0.0, 0.5]),
            seed=pick([None, 3]),
        ),
        traits=Traits(**{**defaults, **traits}),
        errors=[dict(units=0)],
    )


SOUND = (_card(Sound), _card(SoundPooling))
"""Controls: correct layers, on which no property may fail."""

BROKEN = (
    Broken(_card(WrongOutputShape), "S1"),
    Broken(_card(FixedTime), "S2"),
    Broken(_card(IntegerOutput), "S3"),
    Broken(_card(WeightInCall), "B1"),
    Broken(_card(BuildNeedsTuple), "B2", raises=True),
    Broken(_card(CastsBack), "N7"),
    Broken(_card(HiddenVariable), "B3"),
    Broken(_card(ConfigDropsArgument), "C1"),
    Broken(_card(ConfigNotJson), "C1"),
    Broken(_card(ConfigChangesWhenBuilt), "C1"),
    Broken(_card(FromConfigPops), "C1"),
    Broken(_card(NotRegistered), "C3", raises=True),
    Broken(_card(BuildForgetsPart), "C4", raises=True),
    Broken(_card(ConfigDropsTrainable), "C6"),
    Broken(_card(HalfGradient), "G1"),
    Broken(_card(WrongCustomGradient), "G1"),
    Broken(_card(DeadWeight), "G2"),
    Broken(_card(NormAtZero), "G3"),
    Broken(_card(FrozenStepMoves), "G4"),
    Broken(_card(CastsToFloat32), "N1"),
    Broken(_card(ChildIgnoresPolicy), "N1"),
    Broken(_card(Overflows), "N3"),
    Broken(_card(LeaksPadding), "M1"),
    Broken(_card(LosesMask), "M2"),
    Broken(_card(StaleMask), "M2"),
    Broken(_card(CouplesBatch), "I1"),
    Broken(_card(Sound, couples_batch="always"), "I1"),
    Broken(_card(LooksAhead), "I2"),
    Broken(_card(Sound, causal=False), "I2"),
    Broken(_card(NoisyInference), "R1"),
    Broken(_card(TrainingDiffers), "R2"),
    Broken(_card(SilentNoise), "R2"),
    Broken(_card(Sound, stochastic=False, train_differs=True), "R2"),
    Broken(_card(GlobalNoise, stochastic=True), "R3"),
    Broken(_card(CompilesDifferently), "X1"),
    Broken(
        _card(FrozenNoise, stochastic=True), "X1", sound_on=("torch",)
    ),  # where the call goes back to Python
    Broken(_card(KeepsTracer), "X3"),
    Broken(_card(NotInSequential), "L1", raises=True),
    Broken(_card(NewWeightsPerUse), "L2"),
    Broken(_card(ChangesItsInput), "L4"),
    Broken(_card(AcceptsAnything), "L6"),
)
