"""The kit on layers that are not ours, and what its report says."""

import keras
import numpy as np
import pytest

from layerzoo import Card, Traits, catalogue
from layerzoo.tensors import compat
from layerzoo.testing import (
    PROPERTIES,
    SUMS,
    Case,
    Comparison,
    ConformanceError,
    Finite,
    Inconclusive,
    Report,
    Result,
    Sample,
    Tolerance,
    Violation,
    check_layer,
    check_property,
    check_sample,
    demand,
    select,
)
from layerzoo.testing.engine.token import Token
from layerzoo.testing.front.parametrize import Check
from layerzoo.testing.proof.broken import BROKEN
from layerzoo.testing.proof.broken.dense import Sound

SOUND_LAYERS = {
    "Dense": (lambda: keras.layers.Dense(3, activation="tanh"), (2, 5, 4)),
    "Conv1D": (lambda: keras.layers.Conv1D(3, 2), (2, 5, 4)),
    "LayerNormalization": (lambda: keras.layers.LayerNormalization(), (2, 4)),
}


@pytest.mark.parametrize("name", SOUND_LAYERS)
def test_keras_layers_keep_what_needs_no_card(name):
    make, shape = SOUND_LAYERS[name]
    groups = ("shape", "build", "G1", "numerics", "I1", "R*", "L4")
    report = check_layer(make(), inputs=shape, profile="smoke", only=groups)
    # known of TensorFlow: its convolution of an empty batch raises (S6)
    known = {"S6"} if name == "Conv1D" and compat.BACKEND == "tensorflow" else set()
    # known of Keras: it casts the result back to the integers that came in (N7)
    known |= {"N7"} if name == "LayerNormalization" else set()
    assert {each.id for each in report.failures} == known, str(report)


def test_a_defect_of_keras_is_found():
    report = check_layer(keras.layers.LayerNormalization(), inputs=(2, 4), only=["C1"])
    (result,) = report.failures
    assert "after a call" in result.message


@pytest.mark.skipif(compat.BACKEND != "tensorflow", reason="no trace is in words elsewhere")
def test_an_error_in_a_graph_is_told_with_the_line_of_the_layer_and_without_its_trace():
    (entry,) = [each for each in BROKEN if each.card.name == "GuessesTheBatch"]
    message = check_property(entry.card, PROPERTIES["L1"], "smoke").message
    assert "ConcatOp : Dimension 0 in both shapes must be equal" in message
    assert "/recurrent.py:" in message.split("\n  at ")[1].split("\n")[0]
    assert '\n  File "' not in message


def test_an_instance_is_not_touched():
    layer = keras.layers.Dense(3)
    check_layer(layer, inputs=(2, 4), profile="smoke", only=["S1", "C1", "G2"])
    assert not layer.built


def test_a_layer_with_two_inputs_is_checked():
    card = Card(
        layer=TwoInputs,
        inputs={"inputs": "b t d", "context": "b s d"},
        configs=lambda pick: dict(gain=pick([1.0, 0.5])),
    )
    report = check_layer(card, profile="smoke")
    assert report.ok, str(report)


@keras.saving.register_keras_serializable(package="layerzoo.tests")
class TwoInputs(keras.layers.Layer):
    def __init__(self, gain=1.0, **kwargs):
        super().__init__(**kwargs)
        self.gain = gain

    def build(self, inputs_shape, context_shape):
        self.kernel = self.add_weight(shape=(inputs_shape[-1], 2), name="kernel")
        self.input_spec = keras.layers.InputSpec(axes={-1: inputs_shape[-1]})

    def call(self, inputs, context):
        both = inputs + keras.ops.mean(context, axis=1, keepdims=True)
        return self.gain * keras.ops.matmul(both, self.kernel)

    def compute_output_shape(self, inputs_shape, context_shape):
        return (*inputs_shape[:-1], 2)

    def get_config(self):
        return {**super().get_config(), "gain": self.gain}


def test_arguments_are_checked():
    with pytest.raises(TypeError, match="Received: 'Dense'"):
        check_layer("Dense")
    with pytest.raises(ValueError, match="Received: inputs=None"):
        check_layer(keras.layers.Dense(2))
    with pytest.raises(ValueError, match=r"Received: inputs=\(2, None\)"):
        check_layer(keras.layers.Dense(2), inputs=(2, None))
    with pytest.raises(ValueError, match="Received: 'sloppy'"):
        check_layer(catalogue()["DropPath"], profile="sloppy")
    with pytest.raises(ValueError, match="Received: 'Z9'"):
        check_layer(catalogue()["DropPath"], only=["Z9"])


def test_a_letter_without_a_size_names_the_card_and_the_letter():
    card = Card(layer=Sound, inputs="b t q", configs=lambda pick: dict(units=2))
    with pytest.raises(ValueError, match=r"card of `Sound`.*without size: \['q'\]"):
        check_layer(card, only=["S1"], profile="smoke")


def test_a_failure_names_numbers_sample_and_how_to_see_it():
    half = next(b for b in BROKEN if b.card.name == "HalfGradient")
    result = check_property(half.card, PROPERTIES["G1"], "smoke")
    assert "ratio 0.5000" in result.message
    assert "float64, probed" in result.message
    assert "import numpy as np" in result.message
    with pytest.raises(Violation, match=r"ratio 0\.5000"):
        check_sample(half.card, PROPERTIES["G1"], Token.parse(result.token).sample)


def test_a_report_that_checked_too_little_is_not_ok():
    passed = Result("S1", "shape_static", "passed", 4)
    report = Report("Layer", "numpy", "dev", ("S1", "S2"), (passed,))
    assert report.missing == ("S2",)
    assert not report.ok
    empty = Report("Layer", "numpy", "dev", ("S1",), (Result("S1", "", "passed", 0),))
    assert not empty.ok
    with pytest.raises(ConformanceError, match="not checked: S2"):
        report.raise_on_failure()


def test_an_inconclusive_result_is_not_ok():
    result = Result("G1", "gradient_fd", "inconclusive", 0, "every point has a kink")
    assert not result.ok
    with pytest.raises(ConformanceError, match="inconclusive"):
        Check(_card(RaisesInconclusive), PROPERTIES["S1"])("smoke")


def _card(layer, **settings):
    return Card(layer=layer, inputs="b t d", configs=lambda pick: dict(units=2), **settings)


@keras.saving.register_keras_serializable(package="layerzoo.tests")
class RaisesInconclusive(Sound):
    def build(self, input_shape):
        raise Inconclusive("nothing can be said")


def test_an_expected_failure_must_go_on_failing():
    reason = "known, and here is why"
    half = next(b for b in BROKEN if b.card.name == "HalfGradient")
    known = Card(
        layer=half.card.layer,
        inputs="b t d",
        configs=half.card.configs,
        expected_failures={f"G1@{compat.BACKEND}": reason, "S1": reason},
    )
    assert check_property(known, PROPERTIES["G1"], "smoke").status == "expected_failure"
    surprise = check_property(known, PROPERTIES["S1"], "smoke")
    assert surprise.status == "unexpected_pass"
    assert not surprise.ok
    assert reason in surprise.message


def test_properties_are_selected_by_id_name_and_group():
    assert [each.id for each in select("G1")] == ["G1"]
    assert [each.id for each in select("gradient_fd")] == ["G1"]
    assert {each.group for each in select("config")} == {"config"}
    assert select() == list(PROPERTIES.values())


def test_every_property_states_itself_in_a_sentence():
    for each in PROPERTIES.values():
        assert each.statement.endswith("."), each.id
        assert len(each.statement) < 110, each.id


def test_global_settings_are_put_back():
    before = keras.config.floatx(), keras.config.dtype_policy().name
    with compat.undisturbed():
        keras.config.set_floatx("float64")
        keras.config.set_dtype_policy("mixed_bfloat16")
    assert (keras.config.floatx(), keras.config.dtype_policy().name) == before


def test_float64_is_float64_and_is_left_again():
    x = np.array([1.0 + 1e-12])
    with compat.float64():
        layer = keras.layers.Dense(1, kernel_initializer="ones", dtype="float64")
        assert compat.array(layer(x[None]))[0, 0] == x[0]
    assert keras.config.floatx() == "float32"
    assert keras.backend.result_type("float32", "float32") == "float32"


def test_nan_never_passes():
    wide = Tolerance(1e9, "origin")
    with pytest.raises(Violation):
        demand(Comparison([1.0, np.nan], [1.0, 1.0], wide, "claim"))
    with pytest.raises(Violation):
        demand(Comparison([np.inf], [1.0], wide, "claim"))
    with pytest.raises(Violation):
        demand(Finite([np.nan], "claim"))
    with pytest.raises(Violation, match="shapes"):
        demand(Comparison(np.ones(3), np.ones((3, 1)), wide, "claim"))


def test_a_tolerance_does_not_grow_with_the_size():
    small, large = np.zeros(4), np.zeros(4_000_000)
    for x in (small, large):
        off = x.copy()
        off[-1] = 1.1e-5
        with pytest.raises(Violation, match="tolerance 1e-05"):
            demand(Comparison(off, x, SUMS, "claim"))


def test_weights_are_moved_off_their_start():
    case = Case(catalogue()["GatedMLP"], Sample())
    layer = case.built()
    assert all(np.abs(w).min() > 0 for w in layer.get_weights())
    assert all(
        np.array_equal(a, b)
        for a, b in zip(case.built().get_weights(), layer.get_weights(), strict=True)
        if a.ndim == 1
    ), "the same draw each time"


def test_a_trait_may_depend_on_the_config():
    traits = Traits(causal=lambda config: config["causal"])
    assert traits.under({"causal": True}).causal is True
    assert traits.under({"causal": False}).causal is False


@keras.saving.register_keras_serializable("testing")
class KeepsOneSample(keras.layers.Layer):
    """The other samples are gone."""

    def call(self, inputs):
        return inputs[:1]


@pytest.mark.parametrize("id", ["I1", "N4"])
def test_samples_that_are_gone_are_told(id):
    (result,) = check_layer(KeepsOneSample(), inputs=(2, 4), profile="smoke", only=[id]).results
    assert result.status == "failed"
    assert "of a batch of 3" in result.message
    assert not result.failure.raised
