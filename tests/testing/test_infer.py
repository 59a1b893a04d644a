import keras
import pytest

from layerzoo.catalogue import Card, Tensor
from layerzoo.testing import check_layer
from layerzoo.testing.front.infer import draft, infer

pytestmark = pytest.mark.proof

FOUND = {
    "Dense": "b t d",
    "Conv2D": "b y x c",
    "Embedding": Tensor("b t", "int32", high=2),
    "Add": ["b t d", "b t d"],
    "MultiHeadAttention": {"query": "b t d", "value": "b s d"},
    "GRUCell": {"inputs": "b d", "states": ["b c"]},
    "Bidirectional": "b t d",
    "RepeatVector": "b d",
}


@pytest.mark.parametrize("name", FOUND)
def test_a_card_is_found_and_runs(name):
    card = infer(getattr(keras.layers, name))
    assert card.inputs == FOUND[name]
    report = check_layer(card, profile="smoke", only=["S1", "B1"])
    assert report.ok, report


def test_arguments_are_moved_off_their_defaults_unless_the_layer_refuses():
    options = draft(keras.layers.Conv1D).options
    assert options["use_bias"] == [True, False]
    assert options["strides"] == [1, 2]
    assert "dilation_rate" not in options, "with strides it is refused"


def test_what_trying_tells_is_claimed():
    found = draft(keras.layers.SimpleRNN).claims
    assert found["dynamic"] == "b t"
    assert found["stochastic"].defaults == {"dropout": 0.0, "recurrent_dropout": 0.0}
    assert draft(keras.layers.Dropout).claims["stochastic"] is True
    assert draft(keras.layers.PReLU).claims == {
        "dynamic": "b",
        "causal": True,
        "masking": "propagates",
    }


def test_masks_causality_state_coupling_and_losses_are_probed_with_each_argument_moved():
    masking = draft(keras.layers.SimpleRNN).claims["masking"]
    assert masking.otherwise == "consumes"
    assert masking.moved == {"return_sequences": (True, "propagates")}
    normalization = draft(keras.layers.BatchNormalization).claims
    assert normalization["state"] == "training"
    assert normalization["couples_batch"].otherwise == "training"
    assert normalization["couples_batch"].moved["axis"] == (0, None)  # each sample by itself
    assert draft(keras.layers.ActivityRegularization).claims["losses"] == 1
    softmax = draft(keras.layers.Softmax).claims["couples_batch"]
    assert (softmax({"axis": -1}), softmax({"axis": 0})) == (None, "always")
    assert repr(softmax) == "lambda config: 'always' if config[\"axis\"] == 0 else None"


@pytest.mark.parametrize("layer", [keras.layers.Conv1D, keras.layers.TimeDistributed])
def test_the_source_is_a_card_to_edit(layer):
    found = draft(layer)
    scope: dict = {}
    exec(found.source, scope)
    (card,) = scope["CARDS"]
    assert isinstance(card, Card)
    assert card.axes == found.card.axes
    first = lambda options: next(iter(options))  # noqa: E731
    assert card.layer(**card.configs(first)).get_config().keys() == (
        found.card.layer(**found.card.configs(first)).get_config().keys()
    )


def test_a_class_that_nothing_runs_is_told_with_what_was_tried():
    with pytest.raises(
        ValueError, match=r"write its card by hand, or check an instance, .*a constructor"
    ):
        infer(keras.layers.Layer)


@keras.saving.register_keras_serializable("testing")
class RarelyDropsPath(keras.layers.Layer):
    """Two samples are dropped or kept as wholes, so that two draws are often the same."""

    def __init__(self, rate=0.1, **kwargs):
        super().__init__(**kwargs)
        self.rate = rate
        self.dropout = keras.layers.Dropout(rate, noise_shape=(None, 1))

    def call(self, inputs, training=None):
        return self.dropout(inputs, training=training)


@keras.saving.register_keras_serializable("testing")
class DropsNothing(keras.layers.Layer):
    """Random only if the rate is off its default."""

    def __init__(self, rate=0.0, **kwargs):
        super().__init__(**kwargs)
        self.rate = rate
        self.dropout = keras.layers.Dropout(rate, dtype=self.dtype_policy)

    def call(self, inputs, training=None):
        return self.dropout(inputs, training=training)

    def get_config(self):
        return {**super().get_config(), "rate": self.rate}


def test_a_rate_of_zero_is_random_only_if_it_is_moved():
    found = draft(DropsNothing)
    assert 'stochastic=lambda config: config["rate"] != 0.0' in found.source
    report = check_layer(found.card, profile="smoke", only=["R[1-3]", "X1"])
    assert report.ok, report


@keras.saving.register_keras_serializable("testing")
class WithoutConstructor(keras.layers.Layer):
    def call(self, inputs):
        return 2 * inputs


def test_noise_that_is_often_the_same_is_noise():
    claims = draft(RarelyDropsPath).claims
    assert claims.get("stochastic")
    assert "train_differs" not in claims


def test_what_keras_own_constructor_takes_is_no_argument_of_the_layer():
    found = draft(WithoutConstructor)
    assert found.options == {}
    assert check_layer(found.card, profile="smoke").ok


def test_only_a_class_of_layers_has_a_card():
    with pytest.raises(
        TypeError, match=r"subclass of `keras\.layers\.Layer`\. Received: <class 'int'>"
    ):
        infer(int)
