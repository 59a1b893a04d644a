"""A wrapper around a layer from the user, sound and broken in what it does with that layer."""

import keras
from keras import layers, ops

from layerzoo.catalogue import Card, Traits
from layerzoo.testing.proof.broken.entry import Broken

register = keras.saving.register_keras_serializable(package="layerzoo.broken")


@register
class Centred(layers.Layer):
    """A correct layer for wrapping that needs the mask: it subtracts the mean of the valid steps."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True

    def call(self, inputs, mask=None):
        if mask is None:
            return inputs - ops.mean(inputs, axis=1, keepdims=True)
        valid = ops.cast(mask, "bool")[..., None]
        inputs = ops.where(valid, inputs, 0.0)
        count = ops.sum(ops.cast(valid, inputs.dtype), axis=1, keepdims=True)
        return inputs - ops.sum(inputs, axis=1, keepdims=True) / ops.maximum(count, 1.0)

    def compute_output_shape(self, input_shape):
        return input_shape


@register
class SoundWrapper(layers.Layer):
    """A correct wrapper: applies some layers in turn and adds the result to each step."""

    def __init__(self, layer, scale=1.0, **kwargs):
        super().__init__(**kwargs)
        self._refuse(layer)
        self.layer, self.scale = layer, scale
        self.supports_masking = True

    def build(self, input_shape):
        shape = input_shape
        for layer in self._chain():
            layer.build(shape)
            shape = layer.compute_output_shape(shape)
            if not self.trainable:
                layer.trainable = False

    def call(self, inputs, mask=None):
        branch = inputs
        for layer in self._chain():
            branch = self._applied(layer, branch, mask)
        return inputs + self.scale * branch

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        written = keras.saving.serialize_keras_object(self.layer)
        return {**super().get_config(), "layer": _unbuilt(written), "scale": self.scale}

    @classmethod
    def from_config(cls, config):
        return cls(**{**config, "layer": keras.saving.deserialize_keras_object(config["layer"])})

    def _refuse(self, layer):
        chain = layer if isinstance(layer, list) else [layer]
        if not chain or not all(isinstance(each, layers.Layer) for each in chain):
            raise ValueError(
                f"`layer` must be a layer or a list of them. Received: layer={layer!r}"
            )

    def _chain(self):
        return self.layer if isinstance(self.layer, list) else [self.layer]

    def _applied(self, layer, x, mask):
        if mask is not None and isinstance(layer, Centred):
            return layer(x, mask=mask)
        return layer(x)


def _unbuilt(written):
    if isinstance(written, list | tuple):
        return [_unbuilt(each) for each in written]
    return {name: value for name, value in written.items() if name != "build_config"}


@register
class PopsCallersConfig(SoundWrapper):
    """`from_config` removes the layer from the caller's dict, as `keras.layers.Wrapper` does."""

    @classmethod
    def from_config(cls, config):
        return cls(keras.saving.deserialize_keras_object(config.pop("layer")), **config)


@register
class MaskLostInside(SoundWrapper):
    """The wrapped layer never receives the mask."""

    def _applied(self, layer, x, mask):
        return layer(1.0 * x)


@register
class MaskByChance(SoundWrapper):
    """The wrapped layer gets the mask only if the tensor happens to carry it."""

    def _applied(self, layer, x, mask):
        return layer(x)


@register
class MaskLostBehind(SoundWrapper):
    """Layers after the wrapper never receive the mask."""

    def compute_mask(self, inputs, previous_mask):
        return None


@register
class OneNameForTwo(SoundWrapper):
    """Two of the wrapper's own layers have the same name."""

    def build(self, input_shape):
        super().build(input_shape)
        for place in ("before", "after"):
            settings = dict(dtype=self.dtype_policy, trainable=self.trainable, name="norm")
            norm = layers.Dense(input_shape[-1], **settings)
            norm.build(input_shape)
            setattr(self, place, norm)

    def call(self, inputs, mask=None):
        return self.after(super().call(self.before(inputs), mask))


@register
class HidesLayer(SoundWrapper):
    """The wrapped layer is kept where Keras does not look for its losses."""

    def __init__(self, layer, scale=1.0, **kwargs):
        layers.Layer.__init__(self, **kwargs)
        self._refuse(layer)
        object.__setattr__(self, "layer", layer)
        self.scale, self.supports_masking = scale, True


@register
class RunsTwice(SoundWrapper):
    """The wrapped layer is called twice: once to look at its output, and once to use it."""

    def _applied(self, layer, x, mask):
        if super()._applied(layer, x, mask).shape != x.shape:
            raise ValueError("`layer` must keep the shape")
        return super()._applied(layer, x, mask)


@register
class EmptiesList(SoundWrapper):
    """The layer empties the caller's list of layers."""

    def __init__(self, layer, scale=1.0, **kwargs):
        super().__init__(layer, scale, **kwargs)
        if isinstance(layer, list):
            self.layer = [layer.pop(0) for _ in range(len(layer))]


@register
class TakesAnything(SoundWrapper):
    """An argument that is not a layer raises only when it is called."""

    def _refuse(self, layer):
        pass


@register
class OutermostOnly(SoundWrapper):
    """Inside a model, a branch has a different weight."""

    def _applied(self, layer, x, mask):
        y = super()._applied(layer, x, mask)
        return y if self._get_call_context().entry_layer is self else 1.01 * y


@register
class PrintsWeights(SoundWrapper):
    """`repr` needs something that only `build` makes."""

    def __repr__(self):
        if not self.built:
            raise AttributeError("the layer has no weights yet")
        return super().__repr__()


@register
class Penalised(layers.Layer):
    """The identity with a loss. Keras's own layer divides by the batch size, which PyTorch then fixes."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True

    def call(self, inputs):
        self.add_loss(0.1 * ops.mean(ops.square(inputs)))
        return inputs

    def compute_output_shape(self, input_shape):
        return input_shape


@register
class ForgetsWhenWrapped(layers.Layer):
    """A layer to be wrapped whose config drops `rate`, which matters only in training."""

    def __init__(self, rate=0.1, **kwargs):
        super().__init__(**kwargs)
        self.rate = rate
        self.drop = layers.Dropout(rate, dtype=self.dtype_policy, name="drop")
        self.supports_masking = True

    def call(self, inputs, training=None):
        return self.drop(inputs, training=training)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {k: v for k, v in super().get_config().items() if k != "rate"}


def _penalised():
    return Penalised()


def _forgetful():
    return ForgetsWhenWrapped(0.5)


def _list():
    return [layers.Dense(3, activation="tanh"), layers.Dense(4)]


def _card(layer, wrapped=None, **traits) -> Card:
    """The card of a wrapper, around a layer that needs masks, `Dense` and a list; or always around one."""
    options = (
        [wrapped]
        if wrapped
        else [
            Centred,
            lambda: layers.Dense(4, activation="tanh"),
            _list,
        ]
    )
    defaults = dict(masking="propagates", dynamic="b t")
    return Card(
        layer=layer,
        inputs="b t d",
        configs=lambda pick: dict(layer=pick(options)(), scale=pick([1.0, 0.7])),
        dims=lambda pick, config: dict(d=4),
        traits=Traits(**{**defaults, **traits}),
        errors=[dict(layer="dense"), dict(layer=[])],
    )


SOUND = (_card(SoundWrapper), _card(SoundWrapper, _penalised, losses=1))
"""Controls: correct layers, on which no property may fail."""

BROKEN = (
    Broken(_card(PopsCallersConfig), "C1"),
    Broken(_card(SoundWrapper, _forgetful, stochastic=True), "C1"),
    Broken(_card(MaskLostInside), "M1"),
    Broken(_card(MaskLostBehind), "M2"),
    Broken(_card(MaskByChance), "M3"),
    Broken(_card(OneNameForTwo), "B4"),
    Broken(_card(OutermostOnly, masking=None), "L1"),
    Broken(_card(EmptiesList, _list), "L4"),
    Broken(_card(HidesLayer, _penalised, losses=1), "L5"),
    Broken(_card(RunsTwice, _penalised, losses=1), "L5"),
    Broken(_card(TakesAnything), "L6"),
    Broken(_card(PrintsWeights), "L7", raises=True),
)
