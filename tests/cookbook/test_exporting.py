"""Exports: a file that is wrong is found, and what was not tried is never called right."""

import keras
import pytest

from layerzoo import Card, Traits, catalogue, measured
from layerzoo.cookbook import exporting
from layerzoo.testing.engine.case import Case
from layerzoo.testing.engine.samples import Sample
from layerzoo_entry.cli import main

EXPORT = "tf_saved_model@tensorflow"

on_tensorflow = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="other exports need packages that tests do not"
)


class Shifted(keras.layers.Layer):
    """Adds `by` to its input, and in a graph also `error`."""

    def __init__(self, by=1.0, error=0.0, **kwargs):
        super().__init__(**kwargs)
        self.by, self.error = by, error

    def call(self, inputs):
        if self.error is None and not hasattr(inputs, "numpy"):
            raise RuntimeError("it cannot be traced")
        return inputs + self.by + (0 if hasattr(inputs, "numpy") else self.error)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "by": self.by, "error": self.error}


def shifted(errors=(0.0,), failing=None):
    """A card whose configs have these errors; those that `failing` names must fail."""
    return Card(
        Shifted,
        "b t d",
        configs=lambda pick: dict(error=pick(errors)),
        traits=Traits(dynamic="b t"),
        failing_exports=lambda config: {EXPORT: "known"} if config["error"] == failing else {},
    )


@on_tensorflow
def test_a_right_file_is_right_at_every_length():
    assert exporting.result(shifted(), EXPORT)["free"] == {
        "status": "right",
        "exports": 3,
        "masked": 0,
        "lengths": [1, 9, 12, 20, 150],
        "difference": 0.0,
    }


@on_tensorflow
@pytest.mark.proof
@pytest.mark.parametrize(
    ("errors", "failing", "status", "reason"),
    [
        ((1e-3,), "none", "failed", "error=0.001: Violation: at {'t': 1, 'b': 2} the file and the"),
        ((None,), "none", "failed", "error=None: RuntimeError: it cannot be traced"),
        ((0.0, 1e-3), 1e-3, "expected_failure", "known"),
        ((0.0, None), None, "expected_failure", "known"),
        ((0.0,), 0.0, "unexpected_pass", "the plain layer: known"),
        ((0.0, 1e-3), 0.0, "failed", "error=0.001: Violation"),
    ],
)
def test_a_wrong_file_is_found_and_the_card_must_know_it(errors, failing, status, reason):
    found = exporting.result(shifted(errors, failing), EXPORT, turn=None)
    for kind in ("free", "fixed"):
        assert found[kind]["status"] == status
        assert found[kind]["reason"].startswith(reason)
    lines = exporting.faults({"Shifted": {"results": {EXPORT: found}}})
    assert len(lines) == (0 if status == "expected_failure" else 2)


@on_tensorflow
@pytest.mark.proof
def test_masks_are_further_inputs():
    case = Case(catalogue()["CrossAttention"], Sample())
    assert exporting.masks_of(case) == {"mask": "inputs", "context_mask": "context"}
    assert not exporting.masks_of(Case(catalogue()["AlibiBias"], Sample()))
    steps = list(exporting.steps(case, "free", 0))
    assert exporting.difference(case, EXPORT, True, steps) < exporting.WITHIN.relative


def test_the_lengths_of_several_axes_differ():
    case = Case(catalogue()["CrossAttention"], Sample())
    free = list(exporting.steps(case, "free", 0))
    assert all(made == {"t": None, "s": None, "b": None} for made, _ in free)
    for letter in "ts":
        assert sorted(given[letter] for _, given in free) == sorted(exporting.LENGTHS)
    assert all(given["t"] != given["s"] for _, given in free)
    fixed = list(exporting.steps(case, "fixed", 1))
    assert all(made == {"s": 150, "t": 12, "b": None} for made, _ in fixed)
    assert {given["b"] for _, given in fixed} == {1, 2, 3}


def test_all_variants_take_their_turn():
    card = catalogue()["SelfAttention"]
    for export in exporting.EXPORTS:
        tokens = [(c.sample.token, m) for c, m in exporting.variants(card, export)]
        seen = []
        for turn in range(len(exporting.EXPORTS) * len(tokens)):
            found = [(c.sample.token, m) for c, m in exporting.variants(card, export, turn)]
            assert found[0] == tokens[0]
            assert len(found) <= 2
            seen += found[1:]
        assert set(seen) == set(tokens[1:])


def test_what_cannot_be_tried_is_a_fault(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(exporting, "EXPORTS", {"onnx@torch": ("no_such_module",)})
    assert main(["export-check", "DropPath", "--measured", str(tmp_path)]) == 1
    (kinds,) = measured.read(tmp_path, "exports", "DropPath")["results"].values()
    assert kinds["free"]["status"] == "not_tried"
    said = " ".join(capsys.readouterr().out.split())
    assert "DropPath, onnx@torch, free sizes: not tried: it needs no_such_module: " in said
    assert "[export]" in said


def test_a_pattern_that_matches_nothing_is_refused(capsys):
    assert exporting.select(["onnx@*"]) == ["onnx@tensorflow", "onnx@torch"]
    assert exporting.select([]) == list(exporting.EXPORTS)
    assert main(["export-check", "DropPath", "--only", "onyx@*"]) == 2
    assert "Received: 'onyx@*'" in capsys.readouterr().err


def test_a_part_joins_what_an_older_run_of_the_same_versions_found():
    here, there = list(exporting.EXPORTS)[:2]
    old = {"keras": "3.15.1", "results": {there: "right", here: "failed"}}
    new = {"keras": "3.15.1", "results": {here: "right"}}
    assert exporting.merged(old, new)["results"] == {here: "right", there: "right"}
    assert exporting.merged({**old, "keras": "3.14.0"}, new) == new
    assert exporting.merged({}, new) == new


@pytest.mark.proof
def test_the_command_writes_what_the_page_reads(tmp_path, capsys):
    arguments = ["export-check", "DropPath", "--only", EXPORT, "--measured", str(tmp_path)]
    assert main(arguments) == 0
    found = measured.read(tmp_path, "exports", "DropPath")
    assert found["results"][EXPORT]["free"]["status"] == "right"
    assert "0.0e+00" in capsys.readouterr().out
