"""Small attention, normalisation and noise layers, sound and broken in numbers, reach and randomness."""

import keras
import numpy as np
from keras import layers, ops

from layerzoo.catalogue import Card, Traits
from layerzoo.testing.proof.broken.entry import Broken

register = keras.saving.register_keras_serializable(package="layerzoo.broken")


@register
class SoundAttention(layers.Layer):
    """A correct layer: each step averages the steps that it can see, weighted by a softmax of scores."""

    def __init__(self, num_heads=2, causal=False, dropout=0.0, seed=None, **kwargs):
        super().__init__(**kwargs)
        if num_heads < 1:
            raise ValueError(f"`num_heads` must be positive. Received: num_heads={num_heads}")
        self.num_heads, self.causal, self.dropout, self.seed = num_heads, causal, dropout, seed
        self.drop = layers.Dropout(dropout, seed=seed, dtype=self.dtype_policy, name="drop")
        self.supports_masking = True

    def build(self, input_shape):
        width = input_shape[-1]
        self.kernel = self.add_weight(shape=(width, 3 * width), name="kernel")
        self.output_kernel = self.add_weight(shape=(width, width), name="output_kernel")
        self.input_spec = layers.InputSpec(ndim=3, axes={-1: width})

    def call(self, inputs, mask=None, training=None):
        valid = None if mask is None else ops.cast(mask, "bool")
        x = self.without_padding(inputs, valid)
        heads = [self.split(part) for part in ops.split(ops.matmul(x, self.kernel), 3, axis=-1)]
        shares = self.shares(self.scores(*heads[:2]), self.allowed(ops.shape(x)[1], valid))
        attended = ops.matmul(self.drop(shares, training=training), heads[2])
        attended = ops.reshape(ops.transpose(attended, (0, 2, 1, 3)), ops.shape(x))
        return self.without_padding(ops.matmul(attended, self.output_kernel), valid)

    def split(self, x):
        b, t, d = ops.shape(x)
        x = ops.reshape(x, (b, t, self.num_heads, d // self.num_heads))
        return ops.transpose(x, (0, 2, 1, 3))

    def without_padding(self, x, valid):
        return x if valid is None else ops.where(valid[..., None], x, 0.0)

    def scores(self, query, key):
        query = query * query.shape[-1] ** -0.5
        return ops.matmul(query, ops.transpose(key, (0, 1, 3, 2)))

    def seen(self, distance):
        return distance >= 0 if self.causal else None

    def allowed(self, length, valid):
        steps = ops.arange(length)
        seen = self.seen(steps[:, None] - steps[None, :])
        if valid is None:
            return seen
        valid = valid[:, None, None, :]
        return valid if seen is None else ops.logical_and(valid, seen)

    def shares(self, scores, allowed):
        scores = ops.cast(scores, keras.backend.result_type(scores.dtype, "float32"))
        if allowed is not None:
            scores = ops.where(allowed, scores, -1e30)
        shares = self.softmax(scores)
        if allowed is not None:
            shares = ops.where(allowed, shares, 0.0)
        return ops.cast(shares, self.compute_dtype)

    def softmax(self, scores):
        return ops.exp(scores - ops.logsumexp(scores, axis=-1, keepdims=True))

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        config = super().get_config()
        config.update(
            num_heads=self.num_heads, causal=self.causal, dropout=self.dropout, seed=self.seed
        )
        return config


@register
class SoundWindow(SoundAttention):
    """A correct layer: attention in which each step sees only steps less than `window` away."""

    def __init__(self, window=2, **kwargs):
        super().__init__(**kwargs)
        self.window = window

    def seen(self, distance):
        near = ops.abs(distance) < self.window
        return ops.logical_and(near, distance >= 0) if self.causal else near

    def get_config(self):
        return {**super().get_config(), "window": self.window}


@register
class SoundShares(layers.Layer):
    """A correct layer: a softmax over each step's features, with a learned sharpness."""

    def __init__(self, sharpness=1.0, **kwargs):
        super().__init__(**kwargs)
        if sharpness <= 0:
            raise ValueError(f"`sharpness` must be positive. Received: sharpness={sharpness}")
        self.sharpness = sharpness
        self.supports_masking = True

    def build(self, input_shape):
        start = keras.initializers.Constant(self.sharpness)
        self.factor = self.add_weight(shape=(), initializer=start, name="factor")
        self.input_spec = layers.InputSpec(ndim=3)

    def call(self, inputs):
        x = ops.cast(inputs * self.factor, keras.backend.result_type(inputs.dtype, "float32"))
        shares = ops.exp(x - ops.logsumexp(x, axis=-1, keepdims=True))
        return ops.cast(shares, self.compute_dtype)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "sharpness": self.sharpness}


@register
class SoundNoise(layers.Layer):
    """A correct layer: adds normal noise in training."""

    def __init__(self, stddev=0.5, seed=None, **kwargs):
        super().__init__(**kwargs)
        if stddev < 0:
            raise ValueError(f"`stddev` must not be negative. Received: stddev={stddev}")
        self.stddev, self.seed = stddev, seed
        self.generator = keras.random.SeedGenerator(seed)
        self.supports_masking = True

    def build(self, input_shape):
        """Nothing to make."""

    def call(self, inputs, training=None):
        if not training:
            return inputs
        noise = keras.random.normal(self.drawn(inputs), dtype="float32", seed=self.generator)
        return inputs + ops.cast(self.scale() * noise, inputs.dtype)

    def drawn(self, inputs):
        return ops.shape(inputs)

    def scale(self):
        return self.stddev

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "stddev": self.stddev, "seed": self.seed}


@register
class AdditiveMask(SoundAttention):
    """Masked scores get a large negative number that float16 cannot hold."""

    def shares(self, scores, allowed):
        if allowed is not None:
            least = ops.cast(ops.full((1,), -1e9, "float32"), scores.dtype)
            scores = scores + (1.0 - ops.cast(allowed, scores.dtype)) * least
        return super().shares(scores, allowed)


@register
class FixedWeightDtype(SoundAttention):
    """A weight is float32 under every dtype policy."""

    def build(self, input_shape):
        super().build(input_shape)
        self.gain = self.add_weight(shape=(), initializer="ones", dtype="float32", name="gain")

    def scores(self, query, key):
        return super().scores(query, key) * ops.cast(self.gain, query.dtype)


@register
class CapsInHalf(SoundAttention):
    """The square of a score overflows in float16, and the score becomes zero."""

    def scores(self, query, key):
        scores = super().scores(query, key)
        return scores * ops.rsqrt(1.0 + ops.square(scores) / 100.0)


@register
class ExponentialOfAnything(SoundAttention):
    """The softmax does not subtract the maximum."""

    def softmax(self, scores):
        exponentials = ops.exp(scores)
        return exponentials / ops.sum(exponentials, axis=-1, keepdims=True)


@register
class TinyBatchLeak(SoundAttention):
    """A billionth of the batch mean is added to each sample."""

    def call(self, inputs, mask=None, training=None):
        y = super().call(inputs, mask=mask, training=training)
        return y + 1e-9 * ops.mean(y, axis=0, keepdims=True)


@register
class MultipliesPadding(SoundAttention):
    """Padding is multiplied by zero, and zero times NaN is NaN."""

    def without_padding(self, x, valid):
        return x if valid is None else x * ops.cast(valid[..., None], x.dtype)


@register
class EchoesDtype(SoundAttention):
    """A float16 input gives a float16 output, whatever the dtype policy says."""

    def __call__(self, inputs, *args, **kwargs):
        y = super().__call__(inputs, *args, **kwargs)
        return ops.cast(y, "float16") if getattr(inputs, "dtype", None) == np.float16 else y


@register
class ScaledByWidth(SoundAttention):
    """The scores are divided by the head's width instead of its square root."""

    def scores(self, query, key):
        return super().scores(query, key) * query.shape[-1] ** -0.5


@register
class CountsTheBatch(SoundAttention):
    """A sample depends on how many earlier samples have a positive output."""

    def call(self, inputs, mask=None, training=None):
        y = super().call(inputs, mask=mask, training=training)
        positive = ops.cast(y > 0, y.dtype)
        return y + 1e-2 * (ops.cumsum(positive, axis=0) - positive)


@register
class SoftmaxOverBatch(SoundAttention):
    """The scores are normalised over the batch."""

    def softmax(self, scores):
        return ops.exp(scores - ops.logsumexp(scores, axis=0, keepdims=True))


@register
class CausalOffByOne(SoundAttention):
    """Each step also sees the next one."""

    def seen(self, distance):
        return distance >= -1 if self.causal else None


@register
class WindowOffByOne(SoundWindow):
    """The window is one step wider than declared."""

    def seen(self, distance):
        near = ops.abs(distance) <= self.window
        return ops.logical_and(near, distance >= 0) if self.causal else near


@register
class PrefersLaterFeatures(SoundShares):
    """The output depends on a feature's position."""

    def call(self, inputs):
        return super().call(inputs + 1e-2 * ops.cast(ops.arange(inputs.shape[-1]), inputs.dtype))


@register
class DividesByMore(SoundShares):
    """A constant added for stability makes the shares sum to less than one."""

    def call(self, inputs):
        shares = super().call(inputs)
        return shares / (ops.sum(shares, axis=-1, keepdims=True) + 1e-3)


@register
class DrawsInVain(SoundNoise):
    """A seed is drawn at inference too, although it is not used."""

    def call(self, inputs, training=None):
        self.generator.next()
        return super().call(inputs, training=training)


@register
class NoiseAtInference(SoundNoise):
    """The noise ignores `training`."""

    def call(self, inputs, training=None):
        return super().call(inputs, training=True)


@register
class ScalesInTraining(SoundAttention):
    """The output is scaled in training, and the card does not say so."""

    def call(self, inputs, mask=None, training=None):
        y = super().call(inputs, mask=mask, training=training)
        return y * 1.01 if training else y


@register
class DropoutWithoutSeed(SoundAttention):
    """The seed does not reach the dropout."""

    def __init__(self, num_heads=2, causal=False, dropout=0.0, seed=None, **kwargs):
        super().__init__(num_heads, causal, dropout, seed, **kwargs)
        self.drop = layers.Dropout(dropout, dtype=self.dtype_policy, name="drop")


@register
class NumpyNoise(SoundNoise):
    """The noise comes from NumPy."""

    def call(self, inputs, training=None):
        if not training:
            return inputs
        return inputs + ops.cast(self.stddev * np.random.normal(), inputs.dtype)


@register
class VarianceForDeviation(SoundNoise):
    """The noise is scaled by its variance instead of its standard deviation."""

    def scale(self):
        return self.stddev**2


@register
class OneDrawForAll(SoundNoise):
    """Every sample gets the same noise."""

    def drawn(self, inputs):
        return (1, *ops.shape(inputs)[1:])


@register
class RemembersLastInput(SoundAttention):
    """The result of the last call enters the result of this call."""

    def build(self, input_shape):
        super().build(input_shape)
        self.last = self.add_weight(shape=(), initializer="zeros", trainable=False, name="last")

    def call(self, inputs, mask=None, training=None):
        y = super().call(inputs, mask=mask, training=training) + self.last
        self.last.assign(0.01 * ops.cast(ops.mean(inputs), self.last.dtype))
        return y


def attend(layer, arrays):
    """The equation of `SoundAttention`, head by head and step by step."""
    x = arrays["inputs"]
    kernel, output_kernel = (
        ops.convert_to_numpy(w).astype("float64") for w in (layer.kernel, layer.output_kernel)
    )
    query, key, value = np.split(x @ kernel, 3, axis=-1)
    width = x.shape[-1] // layer.num_heads
    attended = np.zeros(x.shape)
    for b, t, head in np.ndindex(*x.shape[:2], layer.num_heads):
        mine = slice(head * width, (head + 1) * width)
        last = t + 1 if layer.causal else x.shape[1]
        scores = key[b, :last, mine] @ query[b, t, mine] / np.sqrt(width)
        shares = np.exp(scores - scores.max())
        attended[b, t, mine] = shares / shares.sum() @ value[b, :last, mine]
    return attended @ output_kernel


def steps_reversed(x):
    """The steps in reverse."""
    return x[:, ::-1]


def features_reversed(x):
    """The features in reverse."""
    return x[..., ::-1]


def excess(x, y):
    """By how much the sum of each row is not one."""
    return y.sum(axis=-1) - 1


def _attention(layer, **traits) -> Card:
    windowed = issubclass(layer, SoundWindow)
    claims = dict(
        masking="propagates",
        dynamic="b t",
        causal=lambda config: config["causal"],
        stochastic=lambda config: config["dropout"] > 0,
        reach=(
            lambda config: (config["window"] - 1, 0 if config["causal"] else config["window"] - 1)
        )
        if windowed
        else None,
    )

    def configs(pick):
        config = dict(
            num_heads=pick([2, 1]),
            causal=pick([False, True]),
            dropout=pick([0.0, 0.5]),
            seed=pick([None, 3]),
        )
        return {**config, "window": pick([2, 3])} if windowed else config

    return Card(
        layer=layer,
        inputs="b t d",
        configs=configs,
        dims=lambda pick, config: dict(d=pick([4, 3]) * config["num_heads"]),
        traits=Traits(**{**claims, **traits}),
        errors=[dict(num_heads=0)],
    )


def _shares(layer) -> Card:
    return Card(
        layer=layer,
        inputs="b t d",
        configs=lambda pick: dict(sharpness=pick([1.0, 0.5])),
        traits=Traits(
            masking="propagates",
            dynamic="b t",
            causal=True,
            reach=(0, 0),
            equivariant={
                "features reversed": (features_reversed, features_reversed),
                "steps reversed": (steps_reversed, steps_reversed),
            },
            conserves={"rows sum to one": excess},
        ),
        errors=[dict(sharpness=0)],
    )


def _noise(layer, **traits) -> Card:
    claims = dict(
        masking="propagates",
        dynamic="b t d",
        causal=True,
        stochastic=True,
        noise=lambda config: (1, config["stddev"] ** 2),
    )
    return Card(
        layer=layer,
        inputs="b t d",
        configs=lambda pick: dict(stddev=pick([0.5, 0.3]), seed=pick([None, 3])),
        traits=Traits(**{**claims, **traits}),
        errors=[dict(stddev=-1)],
    )


SOUND = (
    _attention(SoundAttention, reference=attend),
    _attention(SoundWindow),
    _shares(SoundShares),
    _noise(SoundNoise),
)
"""Controls: correct layers, on which no property may fail."""

BROKEN = (
    Broken(_attention(FixedWeightDtype), "N1"),
    Broken(_attention(AdditiveMask), "N1"),
    Broken(_attention(CapsInHalf), "N2"),
    Broken(_attention(ExponentialOfAnything), "N3"),
    Broken(_attention(TinyBatchLeak), "N4"),
    Broken(_attention(MultipliesPadding), "N4"),
    Broken(_attention(EchoesDtype), "N5"),
    Broken(_attention(ScaledByWidth, reference=attend), "N6"),
    Broken(_attention(CountsTheBatch), "I1"),
    Broken(_attention(SoftmaxOverBatch), "I1"),
    Broken(_attention(CausalOffByOne), "I2"),
    Broken(_shares(PrefersLaterFeatures), "I3"),
    Broken(_attention(WindowOffByOne), "I4"),
    Broken(_attention(SoundWindow, reach=lambda config: (config["window"],) * 2), "I4"),
    Broken(_shares(DividesByMore), "I5"),
    Broken(_noise(DrawsInVain), "R1"),
    Broken(_noise(NoiseAtInference), "R1"),
    Broken(_attention(ScalesInTraining), "R2"),
    Broken(_attention(DropoutWithoutSeed), "R3"),
    Broken(_noise(NumpyNoise), "R3"),
    Broken(_noise(VarianceForDeviation), "R4"),
    Broken(_noise(OneDrawForAll), "R4"),
    Broken(_attention(SoundAttention, state="training"), "R5"),
    Broken(_attention(RemembersLastInput), "R5"),
)
