"""Numbers, reach and randomness of layers of Keras's own, where a careless check would accuse them."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from layerzoo import Card, Traits
from layerzoo.catalogue import Tensor
from layerzoo.tensors import compat
from layerzoo.testing import PROPERTIES, check_property

pytestmark = pytest.mark.proof

register = keras.saving.register_keras_serializable("testing")


@register
class Codebook(layers.Layer):
    """The nearest code replaces each step, straight through; the codes learn from a loss."""

    def build(self, input_shape):
        self.codes = self.add_weight(shape=(4, input_shape[-1]), name="codes")

    def call(self, inputs):
        distances = ops.sum(ops.square(inputs[..., None, :] - self.codes), axis=-1)
        nearest = ops.take(self.codes, ops.argmin(distances, axis=-1), axis=0)
        self.add_loss(ops.mean(ops.square(nearest - ops.stop_gradient(inputs))))
        return inputs + ops.stop_gradient(nearest - inputs)


@register
class Reparametrized(layers.Layer):
    """The mean at inference, a draw around it in training."""

    def __init__(self, seed=None, **kwargs):
        super().__init__(**kwargs)
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, mean, deviation, training=None):
        if not training:
            return mean
        return mean + deviation * keras.random.normal(ops.shape(mean), seed=self.seed_generator)


@register
class CustomSquare(layers.Layer):
    """The square, with a gradient of its own."""

    def call(self, inputs):
        @ops.custom_gradient
        def square(x):
            def grad(*args, upstream=None):
                return 2 * x * (args[0] if upstream is None else upstream)

            return ops.square(x), grad

        return square(inputs)


@register
class BatchDepth(layers.Layer):
    """Stochastic depth whose draw is one for the whole batch, so that few draws are often the same."""

    def __init__(self, rate=0.1, seed=None, **kwargs):
        super().__init__(**kwargs)
        self.rate, self.seed = rate, seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, inputs, training=None):
        if not training:
            return inputs
        keep = keras.random.uniform((), seed=self.seed_generator) >= self.rate
        return ops.where(keep, inputs / (1 - self.rate), ops.zeros_like(inputs))

    def get_config(self):
        return {**super().get_config(), "rate": self.rate, "seed": self.seed}


@register
class Quantized(layers.Layer):
    """A dense layer whose outputs are rounded to quarters, straight through."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = units

    def build(self, input_shape):
        self.kernel = self.add_weight(shape=(input_shape[-1], self.units), name="kernel")

    def call(self, inputs):
        y = ops.tanh(ops.matmul(inputs, self.kernel))
        return y + ops.stop_gradient(ops.round(4 * y) / 4 - y)

    def get_config(self):
        return {**super().get_config(), "units": self.units}


@register
class Around(layers.Layer):
    """A layer inside that keeps a policy of its own."""

    def __init__(self, layer, **kwargs):
        super().__init__(**kwargs)
        revived = keras.saving.deserialize_keras_object(layer) if isinstance(layer, dict) else layer
        self.layer = revived

    def build(self, input_shape):
        if not self.layer.built:
            self.layer.build(input_shape)

    def call(self, inputs):
        return ops.cast(self.layer(inputs), self.compute_dtype)

    def compute_output_shape(self, input_shape):
        return self.layer.compute_output_shape(input_shape)

    def get_config(self):
        return {**super().get_config(), "layer": keras.saving.serialize_keras_object(self.layer)}


@register
class Convolving(layers.Layer):
    """A convolution inside, and one by the operation: on TensorFlow both refuse an empty batch."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.inside = layers.Conv1D(3, 2, dtype=self.dtype_policy, name="inside")

    def build(self, input_shape):
        self.inside.build(input_shape)
        self.kernel = self.add_weight(shape=(2, 3, 2), name="kernel")

    def call(self, inputs):
        return ops.conv(self.inside(inputs), self.kernel, padding="same")


@register
class IntegersOnly(layers.Layer):
    """A table that refuses whatever is not an integer."""

    def build(self, input_shape):
        self.table = self.add_weight(shape=(5, 3), name="table")

    def call(self, inputs):
        if "int" not in keras.backend.standardize_dtype(inputs.dtype):
            raise TypeError(f"Codes must be integers. Received: {inputs.dtype}")
        return ops.take(self.table, inputs, axis=0)


@register
class Documented(layers.Dense):
    """A layer whose example uses what its module has.

    ```python
    SOUND
    Documented(3)(np.ones((2, 3)))
    ```
    """


@register
class Heir(Documented):
    __doc__ = Documented.__doc__


SOUND = {
    "one draw for the whole batch": (
        ["R2", "R3", "X1"],
        Card(
            BatchDepth,
            "b d",
            lambda pick: dict(rate=pick([0.1, 0.2]), seed=pick([None, 3])),
            traits=Traits(stochastic=True),
        ),
    ),
    "outputs that are rounded, straight through": (
        ["N1"],
        Card(Quantized, "b t d", lambda pick: dict(units=pick([5, 40, 60, 80]))),
    ),
    "a layer inside in bfloat16": (
        ["G1", "G6", "X1", "L1", "L2"],
        Card(
            Around,
            "b d",
            lambda pick: dict(
                layer=layers.Dense(3, activation="tanh", dtype=pick(["mixed_bfloat16"]))
            ),
        ),
    ),
    "a layer inside in float16": (
        ["G1", "G6", "X1", "L1", "L2"],
        Card(Around, "b t d", lambda pick: dict(layer=layers.Dense(3, dtype="mixed_float16"))),
    ),
    "a convolution, which TensorFlow has for no empty batch": (
        ["S6"],
        Card(Convolving, "b t d", traits=Traits(dynamic="b t")),
    ),
    "integers and nothing else": (
        ["C3", "L1"],
        Card(IntegersOnly, Tensor("b t", "int32", 0, 5)),
    ),
    "a name of its module in an example": (
        ["L7"],
        Card(Documented, "b d", lambda pick: dict(units=3)),
    ),
    "the docstring of the base class": (["L7"], Card(Heir, "b d", lambda pick: dict(units=3))),
    "an exponential that leaves float32": (
        ["N3"],
        Card(layers.Dense, "b d", lambda pick: dict(units=3, activation="exponential")),
    ),
    "a kernel whose initializer knows no bfloat16": (
        ["N1"],
        Card(
            layers.LSTMCell,
            {"inputs": "b d", "states": ["b c", "b c"]},
            lambda pick: dict(units=3),
            lambda pick, config: dict(c=3),
        ),
    ),
    "no float at all": (
        ["N1", "N2", "N3", "N4", "N5"],
        Card(layers.Hashing, Tensor("b t", "int32", 0, 9), lambda pick: dict(num_bins=5)),
    ),
    "float16 that is not cast": (["N5"], Card(layers.LayerNormalization, "b d")),
    "training unless told": (
        ["R1", "I1", "N4"],
        Card(layers.RandomFlip, "b y x c", traits=Traits(stochastic=True)),
    ),
    "statistics of the batch": (
        ["I1", "N4", "R1", "R2", "R5"],
        Card(
            layers.BatchNormalization,
            "b t d",
            traits=Traits(couples_batch="training", state="training"),
        ),
    ),
    "a state that Keras does not track": (
        ["R1", "R5", "N2"],
        Card(
            layers.GRU,
            "b t d",
            lambda pick: dict(units=3, stateful=True),
            traits=Traits(state="always", dynamic=""),
        ),
    ),
    "noise of a layer that takes no seed": (
        ["R2", "R3"],
        Card(
            layers.TimeDistributed,
            "b t d",
            lambda pick: dict(layer=layers.Dropout(0.5)),
            traits=Traits(stochastic=True),
        ),
    ),
    "noise": (
        ["R2", "R3", "R4"],
        Card(
            layers.GaussianNoise,
            "b t d",
            lambda pick: dict(stddev=pick([0.5, 0.1])),
            traits=Traits(stochastic=True, noise=lambda config: (1, config["stddev"] ** 2)),
        ),
    ),
    "one draw for each channel": (
        ["R4"],
        Card(
            layers.SpatialDropout1D,
            "b t d",
            lambda pick: dict(rate=0.3),
            traits=Traits(stochastic=True, noise=(1, 3 / 7)),
        ),
    ),
    "a causal window": (
        ["I2", "I4"],
        Card(
            layers.Conv1D,
            "b t d",
            lambda pick: dict(filters=3, kernel_size=3, padding="causal"),
            traits=Traits(dynamic="b t", causal=True, reach=(2, 0)),
        ),
    ),
    "scores of hundreds in float16": (
        ["N1", "N2"],
        Card(
            layers.MultiHeadAttention,
            {"query": "b t d", "value": "b s d"},
            lambda pick: dict(num_heads=2, key_dim=4),
        ),
    ),
    "a first step, which no state goes before": (
        ["G2"],
        Card(layers.SimpleRNN, "b t d", lambda pick: dict(units=3), traits=Traits(dynamic="b")),
    ),
    "a weight that a loss alone trains": (["G2"], Card(Codebook, "b t d")),
    "an input that only training needs": (
        ["G2"],
        Card(
            Reparametrized,
            {"mean": "b d", "deviation": "b d"},
            traits=Traits(stochastic=True),
        ),
    ),
    "a custom gradient, which has no forward mode": (["G1", "G6"], Card(CustomSquare, "b d")),
    "no constructor of its own": (["C1", "C2"], Card(CustomSquare, "b d")),
}


@pytest.mark.parametrize("name", SOUND)
def test_a_sound_layer_is_not_accused(name):
    ids, card = SOUND[name]
    for each in ids:
        result = check_property(card, PROPERTIES[each], "smoke")
        assert result.ok, result.message


def test_an_empty_batch_that_the_layer_itself_spoils_is_told():
    result = check_property(Card(Folds, "b t d"), PROPERTIES["S6"], "smoke")
    assert result.status == "failed"


@register
class Folds(Convolving):
    """A reshape that guesses the batch."""

    def call(self, inputs):
        y = super().call(inputs)
        return ops.reshape(y, (-1, *y.shape[1:])) if y.shape[0] else ops.zeros((1, *y.shape[1:]))


def test_noise_of_another_variance_is_told_with_both_numbers():
    card = Card(
        layers.GaussianNoise,
        "b t d",
        lambda pick: dict(stddev=0.5),
        traits=Traits(stochastic=True, noise=(1, 0.26)),
    )
    result = check_property(card, PROPERTIES["R4"], "smoke")
    assert result.status == "failed"
    assert "declared 0.26" in result.message
    assert "6 standard errors" in result.message


def test_a_window_that_is_too_wide_is_refuted():
    card = Card(
        layers.Conv1D,
        "b t d",
        lambda pick: dict(filters=3, kernel_size=2, padding="causal"),
        traits=Traits(dynamic="b t", reach=(2, 0)),
    )
    result = check_property(card, PROPERTIES["I4"], "smoke")
    assert result.status == "failed"
    assert "too wide" in result.message


def test_global_seeds_are_put_back():
    np.random.seed(7)
    due = np.random.random()
    np.random.seed(7)
    with compat.global_seeds(1):
        np.random.random()
    assert np.random.random() == due
