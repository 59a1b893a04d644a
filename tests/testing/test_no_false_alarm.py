"""Numbers, reach and randomness of layers of Keras's own, where a careless check would accuse them."""

import numpy as np
import pytest
from keras import layers

from layerzoo import Card, Traits
from layerzoo.catalogue import Tensor
from layerzoo.testing import PROPERTIES, check_property, compat

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
