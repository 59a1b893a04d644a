"""One error is told once, with the hint that fits it, and what it kept away is named."""

import re
import types

import keras
import pytest
from keras import layers, ops

from layerzoo import Card, Traits
from layerzoo.tensors import compat
from layerzoo.testing import PROPERTIES, Check, check_layer, check_property
from layerzoo.testing.engine import programs as snippets
from layerzoo.testing.engine.report import place
from layerzoo.testing.engine.triage import in_order, same_cause

pytestmark = pytest.mark.proof

register = keras.saving.register_keras_serializable("testing.triage")


@register
class DemandsTraining(layers.Layer):
    def __init__(self, units=4, rate=0.1, **kwargs):
        super().__init__(**kwargs)
        self.units, self.rate = units, rate
        self.dense = layers.Dense(units, dtype=self.dtype_policy)
        self.dropout = layers.Dropout(rate, dtype=self.dtype_policy)

    def build(self, input_shape):
        self.dense.build(input_shape)

    def call(self, x, training):
        return self.dropout(self.dense(x), training=training)

    def get_config(self):
        return {**super().get_config(), "units": self.units, "rate": self.rate}


@register
class NoKeywords(layers.Layer):
    def __init__(self, units=3):
        super().__init__()
        self.units = units

    def call(self, x):
        return x * self.units

    def get_config(self):
        return {**super().get_config(), "units": self.units}


@register
class CallRaises(layers.Layer):
    def call(self, x):
        raise RuntimeError("boom")


@register
class BuildRaises(layers.Layer):
    def build(self, input_shape):
        raise RuntimeError("boom")

    def call(self, x):
        return x


@register
class ConfigRaises(layers.Layer):
    def __init__(self, units=3, **kwargs):
        super().__init__(**kwargs)
        self.units = units

    def call(self, x):
        return x * self.units

    def get_config(self):
        raise RuntimeError("boom")


@register
class DemandsScale(layers.Layer):
    def call(self, x, scale):
        return x * scale


@register
class SizesDoNotFit(layers.Layer):
    def build(self, input_shape):
        self.kernel = self.add_weight(shape=(input_shape[-1] + 1, 3))

    def call(self, x):
        return ops.matmul(x, self.kernel)


@register
class TrainingRaises(layers.Layer):
    def call(self, x, training=None):
        if training:
            raise RuntimeError("boom")
        return x


KINDS = {
    DemandsTraining: ("S1", "`training` has no default", "make()(**inputs)"),
    NoKeywords: ("S3", "has no `**kwargs`", 'make(name="subject")'),
    CallRaises: ("R1", "A plain call", "make()(**inputs, training=False)"),
    BuildRaises: ("R1", "`build` raises this", "make().build(*shapes)"),
    ConfigRaises: ("C1", "`get_config` raises this", "make().get_config()"),
    DemandsScale: ("R1", "`scale` has no default", "make()(**inputs, training=False)"),
    SizesDoNotFit: ("R1", "A plain call", "make()(**inputs, training=False)"),
    TrainingRaises: ("L4", "with `training=True`", "make()(**inputs, training=True)"),
}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_one_error_is_told_once_with_the_hint_that_fits_it(kind):
    id, hint, program = KINDS[kind]
    traits = Traits(stochastic=kind is DemandsTraining)
    report = check_layer(kind(), inputs=(2, 4), profile="smoke", traits=traits)
    (failure,) = report.failures
    assert failure.id == id
    (said,) = re.findall(r"\n  hint +(.*)", failure.message)
    assert hint in said
    assert f"\n    {program}\n" in failure.message
    assert not report.ok
    assert len(report.not_asked) > 3
    assert {each.message for each in report.not_asked} == {
        f"not asked because of {id}, which meets this error"
    }
    assert f"\nnot asked because of {id}, which meets this error: " in str(report)
    assert report.missing == ()


@register
class NotAsSaid(layers.Layer):
    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = units

    def call(self, x):
        return x * self.units

    def get_config(self):
        return super().get_config()


def test_a_config_without_an_argument_names_it():
    report = check_layer(NotAsSaid(3), inputs=(2, 4), profile="smoke", only=["C[15]"])
    first, second = report.failures
    assert "missing from the config: units" in first.message
    assert "`get_config` does not return `units`" in second.message


class Unregistered(layers.Layer):
    def call(self, x):
        return x


def test_a_class_that_is_not_registered_is_told_once():
    report = check_layer(Unregistered(), inputs=(2, 4), profile="smoke", only=["config", "files"])
    (failure,) = report.failures
    assert "cannot find the class `Unregistered`" in failure.message
    assert {each.id for each in report.not_asked} == {"C3", "C5"}


@register
class DoubleOnly(layers.Layer):
    def call(self, x):
        if keras.backend.standardize_dtype(x.dtype) == "float64":
            raise RuntimeError("no doubles")
        return 2 * x


def test_a_hint_does_not_speak_of_a_gradient_that_nobody_took():
    (failure,) = check_layer(DoubleOnly(), (2, 4), profile="smoke", only=["G1"]).failures
    assert "no doubles" in failure.message
    assert "hint" not in failure.message


def test_an_expected_error_keeps_nothing_away():
    card = Card(CallRaises, "b d", expected_failures={"R1": "known", "S1": "known too"})
    report = check_layer(card, profile="smoke", only=["R1", "S1", "S3", "S5"])
    assert [each.status for each in report.results] == [
        "expected_failure",
        "expected_failure",
        "failed",
        "not_asked",
    ]


def test_what_comes_first_is_asked_first_and_told_first():
    assert [each.id for each in in_order([PROPERTIES["G1"], PROPERTIES["R1"]])] == ["R1", "G1"]
    assert place("R1") < place("S1") < place("G1") == place("X1")
    report = check_layer(CallRaises(), inputs=(2, 4), profile="smoke", only=["S1", "R1"])
    assert [each.id for each in report.results] == list(report.demanded)
    assert [each.id for each in report.failures] == ["R1"]


def test_errors_at_two_lines_are_two():
    def raised(act):
        with pytest.raises(RuntimeError) as caught:
            act()
        return same_cause(CallRaises, caught.value)

    once = raised(lambda: CallRaises().call(1))
    assert once == raised(lambda: CallRaises().call(2))
    assert once != raised(lambda: BuildRaises().build((1,)))


def test_a_test_that_meets_a_known_error_is_skipped_with_the_cause():
    told = {}
    card = Card(CallRaises, "b d")
    first, second = (Check(card, PROPERTIES[id], None, told) for id in ("R1", "S5"))
    with pytest.raises(AssertionError, match="boom"):
        first("smoke")
    with pytest.raises(pytest.skip.Exception, match="because of R1"):
        second("smoke")
    with pytest.raises(AssertionError, match="boom"):
        Check(card, PROPERTIES["S5"])("smoke")  # by itself nobody else tells it


def test_a_program_is_printed_only_if_it_was_seen_to_fail(monkeypatch):
    (failure,) = check_layer(DoubleOnly(), (2, 4), profile="smoke", only=["G1"]).failures
    assert "no program: the one for this property did not fail here" in failure.message
    monkeypatch.setattr(snippets, "run", lambda code: AttributeError("spoilt"))
    (failure,) = check_layer(NotAsSaid(3), (2, 4), profile="smoke", only=["C1"]).failures
    assert "no program: the one for this property raised AttributeError" in failure.message


def test_a_claim_or_class_that_no_program_can_import_is_said_so():
    @register
    class Local(CallRaises):
        pass

    (failure,) = check_layer(Local(), (2, 4), profile="smoke", only=["R1"]).failures
    assert "no program: the class is defined inside a function" in failure.message


def test_a_program_leaves_nothing_behind(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    name = keras.layers.Dense(1).name
    code = (
        "import keras, pathlib\nprint('hello')\npathlib.Path('left').write_text('x')\n"
        "keras.backend.clear_session()\nkeras.config.set_dtype_policy('mixed_float16')\n"
        "@keras.saving.register_keras_serializable('shown')\ndef shown(): pass\n"
        "raise OSError('end')"
    )
    assert isinstance(snippets.run(code), OSError)
    assert list(tmp_path.iterdir()) == []
    assert capsys.readouterr().out == ""
    assert keras.config.dtype_policy().name == "float32"
    assert not keras.saving.get_registered_object("shown>shown")
    assert keras.layers.Dense(1).name != name


def test_a_check_leaves_no_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    card = Card(Saves, "b d", lambda pick: dict(units=pick([3, 4])))
    assert check_property(card, PROPERTIES["L7"], "ci").status == "passed"
    assert check_property(card, PROPERTIES["S1"], "ci").status == "passed"
    assert list(tmp_path.iterdir()) == []


@register
class Saves(layers.Dense):
    """A layer whose example saves a file, and draws samples that no other test draws.

    ```python
    import pathlib
    pathlib.Path("left.txt").write_text("x")
    ```
    """


def test_escape_characters_reach_no_report():
    evil = types.new_class("Evil\x1b[31m", (CallRaises,))
    report = check_layer(Card(evil, "b d"), profile="smoke", only=["R1"])
    assert "\x1b" not in str(report)
    assert r"Evil\x1b[31m" in str(report)


def test_the_backend_of_this_run_is_named():
    (failure,) = check_layer(CallRaises(), (2, 4), profile="smoke", only=["R1"]).failures
    assert compat.BACKEND in failure.message
