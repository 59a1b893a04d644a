"""A convolution of small windows, sound and broken in shapes, building, configs and files."""

import itertools

import keras
from keras import activations, initializers, layers, ops, regularizers

from layerzoo.catalogue import Card, Traits
from layerzoo.testing.proof.broken.entry import Broken

register = keras.saving.register_keras_serializable(package="layerzoo.broken")


@register
class SoundConvolution(layers.Layer):
    """A correct layer: one matrix applied to each window of an image, in either data format."""

    def __init__(
        self,
        filters,
        kernel_size=2,
        activation=None,
        kernel_initializer="glorot_uniform",
        kernel_regularizer=None,
        data_format="channels_last",
        **kwargs,
    ):
        super().__init__(**kwargs)
        if filters < 1 or kernel_size < 1:
            raise ValueError(
                "`filters` and `kernel_size` must be positive. "
                f"Received: filters={filters}, kernel_size={kernel_size}"
            )
        self.filters, self.kernel_size = filters, kernel_size
        self.activation = activations.get(activation)
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.data_format = keras.config.image_data_format() if data_format is None else data_format
        self.channels = 1 if self.data_format == "channels_first" else 3

    def build(self, input_shape):
        width = input_shape[self.channels]
        self.kernel = self.add_weight(
            shape=(self.kernel_size, self.kernel_size, width, self.filters),
            initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            name="kernel",
        )
        self.bias = self.add_weight(shape=(self.filters,), initializer="zeros", name="bias")
        self.input_spec = layers.InputSpec(ndim=4, axes={self.channels: width})

    def call(self, inputs):
        first = self.data_format == "channels_first"
        x = ops.transpose(inputs, (0, 2, 3, 1)) if first else inputs
        rest = self.kernel_size - 1
        y = self.bias
        for i, j in itertools.product(range(self.kernel_size), repeat=2):
            window = x[:, i : i - rest or None, j : j - rest or None]
            y = y + ops.matmul(window, self.kernel[i, j])
        y = self.activation(y)
        return ops.transpose(y, (0, 3, 1, 2)) if first else y

    def compute_output_shape(self, input_shape):
        shape = [n if n is None else n - self.kernel_size + 1 for n in input_shape]
        shape[0], shape[self.channels] = input_shape[0], self.filters
        return tuple(shape)

    def get_config(self):
        config = super().get_config()
        config.update(
            filters=self.filters,
            kernel_size=self.kernel_size,
            activation=activations.serialize(self.activation),
            kernel_initializer=initializers.serialize(self.kernel_initializer),
            kernel_regularizer=regularizers.serialize(self.kernel_regularizer),
            data_format=self.data_format,
        )
        return config


@register
class ListForTuple(SoundConvolution):
    """The two eager outputs are a list, the symbolic ones a tuple."""

    def call(self, inputs):
        return [super().call(inputs), ops.square(super().call(inputs))]

    def compute_output_shape(self, input_shape):
        return (super().compute_output_shape(input_shape),) * 2


@register
class GuessesUnknownSide(SoundConvolution):
    """If the width of the image is unknown, the symbolic output claims a typical one."""

    def compute_output_spec(self, inputs):
        shape = self.compute_output_shape(inputs.shape)
        return keras.KerasTensor([shape[0], *(n or 32 for n in shape[1:])], self.compute_dtype)


@register
class SpecInFloat32(SoundConvolution):
    """The symbolic output is float32 under every dtype policy."""

    def compute_output_spec(self, inputs):
        return keras.KerasTensor(self.compute_output_shape(inputs.shape), "float32")


@register
class ShapeOfSame(SoundConvolution):
    """`compute_output_shape` describes a padded convolution; only the spec is right."""

    def compute_output_spec(self, inputs):
        return keras.KerasTensor(super().compute_output_shape(inputs.shape), self.compute_dtype)

    def compute_output_shape(self, input_shape):
        shape = list(input_shape)
        shape[self.channels] = self.filters
        return tuple(shape)


@register
class PairsSamples(SoundConvolution):
    """A batch of one is padded to two."""

    def call(self, inputs):
        y = super().call(inputs)
        return ops.concatenate([y, y]) if inputs.shape[0] == 1 else y


@register
class CountsInHalf(SoundConvolution):
    """A second output, the window's size, has half precision for a batch of one."""

    def call(self, inputs):
        size = ops.full_like(inputs[:, :1, 0, 0], self.kernel_size**2)
        size = ops.cast(size, "float16" if inputs.shape[0] == 1 else self.compute_dtype)
        return [super().call(inputs), size]

    def compute_output_shape(self, input_shape):
        return [super().compute_output_shape(input_shape), (input_shape[0], 1)]


@register
class NeverEmpty(SoundConvolution):
    """An empty batch gives one sample of zeros."""

    def call(self, inputs):
        shape = (1, *inputs.shape[1:])
        return super().call(ops.zeros(shape, inputs.dtype) if inputs.shape[0] == 0 else inputs)


@register
class LateGenerator(SoundConvolution):
    """The first call makes a seed generator, not `build`."""

    def call(self, inputs):
        if not hasattr(self, "generator"):
            self._tracker.unlock()
            self.generator = keras.random.SeedGenerator(1)
            self._tracker.lock()
        return super().call(inputs)


@register
class FrozenFromConfig(SoundConvolution):
    """If built from its build config, the layer has a bias that does not train."""

    def build_from_config(self, config):
        super().build_from_config(config)
        self.bias.trainable = False


@register
class NarrowFromConfig(SoundConvolution):
    """If built from its build config, the layer has a constant of another dtype."""

    kind = "int32"

    def build(self, input_shape):
        super().build(input_shape)
        how = dict(dtype=self.kind, initializer="ones", trainable=False)
        self.unit = self.add_weight(name="unit", shape=(), **how)

    def build_from_config(self, config):
        self.kind = "int8"
        super().build_from_config(config)


@register
class KernelInClosure(SoundConvolution):
    """A variable is kept in a function, where Keras does not look."""

    def build(self, input_shape):
        super().build(input_shape)
        counter = keras.Variable(0.0, trainable=False)
        self.count = lambda: counter.value


@register
class SameNameTwice(SoundConvolution):
    """Kernel and bias have the same name."""

    def add_weight(self, *args, name=None, **kwargs):
        return super().add_weight(*args, name="weight", **kwargs)


@register
class CountsInstances(SoundConvolution):
    """The name of the bias counts how many layers were built before."""

    built_before = 0

    def add_weight(self, *args, name=None, **kwargs):
        CountsInstances.built_before += 1
        return super().add_weight(*args, name=f"{name}_{self.built_before}", **kwargs)


@register
class SharedWindow(SoundConvolution):
    """The area of the window is kept on the class, for all instances."""

    area = 1

    def build(self, input_shape):
        super().build(input_shape)
        type(self).area = self.kernel_size**2

    def call(self, inputs):
        return super().call(inputs) / self.area


@register
class PopsFilters(SoundConvolution):
    """`from_config` removes a key from the caller's dict."""

    @classmethod
    def from_config(cls, config):
        return cls(config.pop("filters"), **config)


@register
class NoActivationDict(SoundConvolution):
    """The activation is looked up by name, which fails for a dict."""

    def __init__(self, filters, kernel_size=2, activation=None, **kwargs):
        if isinstance(activation, dict):
            raise ValueError(f"`activation` must be a name. Received: activation={activation}")
        super().__init__(filters, kernel_size, activation, **kwargs)


@register
class ForgetsRegularizerObject(SoundConvolution):
    """The config keeps only the regularizer's name."""

    def get_config(self):
        config = super().get_config()
        return {**config, "kernel_regularizer": config["kernel_regularizer"] and "l2"}


@register
class AssetAddsUp(SoundConvolution):
    """Extra data in a weights file is added to the weights when the file is read."""

    def save_assets(self, dir_path):
        with open(f"{dir_path}/offset.txt", "w") as file:
            file.write("1")

    def load_assets(self, dir_path):
        with open(f"{dir_path}/offset.txt") as file:
            self.bias.assign(self.bias + float(file.read()))

    def __reduce__(self):
        return _copied, (type(self), self.get_config(), self.get_build_config(), self.get_weights())


@register
class ReadsOnlyRevived(SoundConvolution):
    """Only a layer that was revived from a config reads its weights from a file."""

    revived = False

    @classmethod
    def from_config(cls, config):
        layer = cls(**config)
        layer.revived = True
        return layer

    def load_own_variables(self, store):
        if self.revived:
            super().load_own_variables(store)


@register
class CopyStartsAnew(SoundConvolution):
    """A copy gets new weights."""

    def __deepcopy__(self, memo):
        return type(self).from_config(self.get_config())


@register
class BiasAlwaysTrains(SoundConvolution):
    """The bias trains even if `trainable` is False."""

    @property
    def trainable_weights(self):
        return super().trainable_weights or [self.bias]


def _copied(cls, config, build_config, weights):
    layer = cls.from_config(config)
    if build_config:
        layer.build_from_config(build_config)
        layer.set_weights(weights)
    return layer


def _card(layer, **traits) -> Card:
    return Card(
        layer=layer,
        inputs=lambda config: "b c y x" if config["data_format"] == "channels_first" else "b y x c",
        configs=lambda pick: dict(
            filters=pick([3, 2]),
            kernel_size=pick([2, 1]),
            activation=pick([None, "tanh"]),
            kernel_initializer=pick(["glorot_uniform", "he_normal"]),
            kernel_regularizer=pick([None, "l2"]),
            data_format=pick(["channels_last", "channels_first"]),
        ),
        traits=Traits(**{"dynamic": "b y x", **traits}),
        errors=[dict(filters=0), dict(filters=2, kernel_size=0)],
    )


SOUND = (_card(SoundConvolution),)

BROKEN = (
    Broken(_card(ListForTuple), "S1"),
    Broken(_card(GuessesUnknownSide), "S2"),
    Broken(_card(SpecInFloat32), "S3"),
    Broken(_card(ShapeOfSame), "S4"),
    Broken(_card(PairsSamples), "S5"),
    Broken(_card(CountsInHalf), "S5"),
    Broken(_card(NeverEmpty), "S6"),
    Broken(_card(SoundConvolution, zero_batch=False), "S6"),
    Broken(_card(LateGenerator), "B1"),
    Broken(_card(FrozenFromConfig), "B2"),
    Broken(_card(NarrowFromConfig), "B2"),
    Broken(_card(KernelInClosure), "B3"),
    Broken(_card(SameNameTwice), "B4"),
    Broken(_card(CountsInstances), "B4"),
    Broken(_card(SharedWindow), "B5"),
    Broken(_card(PopsFilters), "C1"),
    Broken(_card(NoActivationDict), "C2"),
    Broken(_card(ForgetsRegularizerObject), "C2"),
    Broken(_card(AssetAddsUp), "C3"),
    Broken(_card(ReadsOnlyRevived), "C4"),
    Broken(_card(CopyStartsAnew), "C5"),
    Broken(_card(BiasAlwaysTrains), "C6"),
)
