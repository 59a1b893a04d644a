"""Numbers, reach and randomness of layers of Keras's own, where a careless check would accuse them."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from layerzoo import Card, Traits
from layerzoo.catalogue import Tensor
from layerzoo.testing import PROPERTIES, check_property, compat

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


SOUND = {
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
