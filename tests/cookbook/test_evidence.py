"""Experiments are declared, run, judged and shown as their numbers say; no test trains a real one."""

import dataclasses
import json
import math
import re
import sys
import types
from pathlib import Path
from xml.etree import ElementTree

import keras
import numpy as np
import pytest

import layerzoo
from layerzoo import InvertedResidual, ResNetBlock, measured
from layerzoo.card import Card
from layerzoo.catalogue import catalogue
from layerzoo.cookbook import pages
from layerzoo.cookbook.evidence import (
    Evidence,
    all_evidence,
    declared,
    demanded,
    evidence_of,
    files,
    plot,
    reproduce,
    reproduced,
    running,
    standalone,
    tasks,
    verdict,
)
from layerzoo_entry.cli import main

MEASURED = Path(__file__).parents[2] / "measured"
DECLARED = dict(all_evidence())
GIVEN = dict(
    claim="It adds.",
    source="arXiv:1512.03385, table 1",
    task="No training.",
    metric="sum",
    holds={"ours is larger": lambda found: found["ours"] > found["other"]},
)


def toy(**changes):
    """An experiment that takes no time."""
    run = lambda seed: {"ours": 2.0 + seed, "other": 1.5}  # noqa: E731
    return Evidence(**{**GIVEN, "run": run, **changes})


def by_length(**changes):
    """One whose numbers depend on a length."""
    return toy(
        run=lambda seed: {
            "ours": {8: 1.0, 16: 1.1 + seed},
            "other": {8: 2.0, 16: math.nan if seed else 9.0},
        },
        x="length",
        holds={"ours at 16 is below 1.5": lambda found: found["ours"][16] < 1.5},
        **changes,
    )


@pytest.fixture
def given(monkeypatch):
    """Gives `DropPath` an experiment, and no other layer."""

    def give(evidence):
        name = declared.module_of(catalogue()["DropPath"])
        package, module = types.ModuleType(name.rpartition(".")[0]), types.ModuleType(name)
        module.EVIDENCE = evidence
        module.__spec__ = package.__spec__ = types.SimpleNamespace()
        monkeypatch.setitem(sys.modules, package.__name__, package)
        monkeypatch.setitem(sys.modules, name, module)
        monkeypatch.setattr(declared, "catalogue", lambda: {"DropPath": catalogue()["DropPath"]})
        return catalogue()["DropPath"]

    return give


# What is declared.


def test_layers_have_experiments():
    assert {name: each for name, each in DECLARED.items() if isinstance(each, str)} == {}
    some = {
        "AlibiBias",
        "ConvolutionalBlockAttention",
        "GatedMLP",
        "HyperConnections",
        "ResNetBlock",
    }
    assert some <= set(DECLARED)


@pytest.mark.parametrize("name", DECLARED)
def test_a_declaration_says_what_a_page_needs(name):
    evidence = DECLARED[name]
    assert re.search(r"arXiv:\d{4}\.\d{4,5}|https://", evidence.source)
    for text in (evidence.claim, evidence.task, *filter(None, [evidence.limits])):
        assert text.isprintable()
        assert text.endswith(".")
    assert evidence.metric[0].islower() or evidence.metric[:3].isupper()
    assert len(evidence.seeds) >= 3
    assert not any(sentence.endswith(".") for sentence in evidence.holds)


@pytest.mark.parametrize("name", measured.names(MEASURED, "evidence"))
def test_a_measurement_is_of_what_is_declared_and_its_verdict_follows_from_its_numbers(name):
    evidence, found = DECLARED[name], measured.read(MEASURED, "evidence", name)
    for word in ("claim", "source", "task", "limits", "metric", "better", "x"):
        assert found[word] == getattr(evidence, word), word
    assert found["seeds"] == list(evidence.seeds)
    assert found["holds"] == running.verdicts(evidence, running.runs_of(found))


def test_every_file_with_an_experiment_is_found():
    house = Path(layerzoo.__file__).parent
    files_of = [
        f"layerzoo.{path.parent.parent.name}.evidence.{path.stem}"
        for path in house.glob("*/evidence/[!_]*.py")
        if path.parent.parent.name != "cookbook"
    ]
    found = {declared.module_of(catalogue()[name]) for name in DECLARED}
    assert set(files_of) == {name for name in found if name.startswith("layerzoo.")}


def test_an_experiment_is_looked_for_beside_its_layer():
    card = catalogue()["GatedMLP"]
    assert declared.module_of(card) == "layerzoo.gated.evidence.gated_mlp"
    assert evidence_of(card) is DECLARED["GatedMLP"]


@pytest.mark.parametrize("module", ["somebody", "somebody.layers", "json", "__main__"])
def test_a_layer_without_one_has_none(module):
    layer = type("Plugged", (keras.layers.Layer,), {"__module__": module})
    assert evidence_of(Card(layer=layer, inputs="b d")) is None


def test_what_is_no_experiment_is_told(given):
    card = given(None)
    with pytest.raises(
        TypeError, match=r"evidence\.drop_path\.EVIDENCE` must be .* `Evidence`\. R.* None"
    ):
        evidence_of(card)
    ((name, problem),) = all_evidence()
    assert name == "DropPath"
    assert problem.startswith("cannot be loaded: TypeError: `layerzoo.residual.evidence.drop_path.")


def test_a_layer_without_an_experiment_is_refused(given):
    given(toy())
    plugged = Card(layer=type("Plugged", (keras.layers.Layer,), {}), inputs="b d")
    with pytest.raises(ValueError, match=r"have an experiment: DropPath\. Received: 'Plugged'"):
        demanded(plugged)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (dict(claim=""), "`claim` must be a text. Received: claim=''"),
        (dict(metric=3), "`metric` must be a text. Received: metric=3"),
        (dict(better="more"), "Received: better='more'"),
        (dict(holds={}), "a condition that could fail. Received: seeds=(0, 1, 2), holds={}"),
        (dict(seeds=()), "must have a seed"),
    ],
)
def test_a_wrong_declaration_is_refused(changes, said):
    with pytest.raises(ValueError, match=re.escape(said)):
        toy(**changes)


# What is run and judged.


def test_every_seed_is_run_and_judged():
    told = []
    found = reproduce("DropPath", toy(), progress=told.append)
    assert found["results"] == {"ours": [2, 3, 4], "other": [1.5, 1.5, 1.5]}
    assert found["holds"] == {"ours is larger": [True, True, True]}
    assert found["command"] == "layerzoo evidence DropPath"
    assert found["backend"] == keras.backend.backend()
    assert told == [f"DropPath, seed {seed}: {seed + 1} of 3" for seed in range(3)]
    assert reproduced(found)
    assert verdict(found) == "Reproduced with each of 3 seeds."


def test_a_claim_that_fails_with_one_seed_is_not_reproduced():
    found = reproduce("DropPath", by_length(), seeds=2)
    assert found["holds"] == {"ours at 16 is below 1.5": [True, False]}
    assert not reproduced(found)
    assert verdict(found) == "Not reproduced: all conditions were true with 1 of 2 seeds."


def test_each_seed_draws_the_same_numbers_again():
    draws = lambda seed: {"ours": float(keras.random.uniform(())), "other": 0.0}  # noqa: E731
    first, second = (reproduce("DropPath", toy(run=draws)) for _ in range(2))
    assert first["results"] == second["results"]
    assert len(set(first["results"]["ours"])) == 3


def test_a_number_that_is_not_finite_is_kept_and_is_valid_json():
    found = reproduce("DropPath", by_length(), seeds=2)
    assert found["results"]["other"] == {"8": [2.0, 2.0], "16": [9.0, None]}
    again = json.loads(json.dumps(found, allow_nan=False))
    assert math.isnan(running.runs_of(again)[1]["other"][16])
    assert running.verdicts(by_length(), running.runs_of(again)) == found["holds"]
    assert "not finite" in running.table(found).columns[3]._cells


@pytest.mark.parametrize(
    "run",
    [
        lambda seed: None,
        lambda seed: {},
        lambda seed: {"ours": "much", "other": 1},
        lambda seed: {"ours": {8: 1.0}, "other": {8: 2.0}},
    ],
)
def test_what_is_no_result_is_told(run):
    with pytest.raises(ValueError, match=r"`run` must return a number for each model.* Received: "):
        reproduce("DropPath", toy(run=run))


def test_every_seed_gives_the_same_names():
    run = lambda seed: {"ours": 2.0, f"other {seed}": 1.0}  # noqa: E731
    holds = {"always": lambda found: True}
    with pytest.raises(ValueError, match=r"the same names with every seed\. Received: "):
        reproduce("DropPath", toy(run=run, holds=holds))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.91234, "0.9123"),
        (1.0, "1.000"),
        (12.345, "12.35"),
        (123456.7, "123,457"),
        (2.5e7, "2.50e+07"),
        (1.2e-5, "1.20e-05"),
        (0.0, "0.000"),
        (None, "not finite"),
    ],
)
def test_numbers_are_short(value, text):
    assert running.number(value) == text


# The command.


def test_the_command_runs_prints_and_writes(given, tmp_path, capsys):
    given(toy())
    out, folder = tmp_path / "out", tmp_path / "measured"
    command = ["evidence", "DropPath", "--out", str(out), "--measured", str(folder)]
    assert main(command) == 0
    said = capsys.readouterr().out
    assert "It adds." in said
    assert "Reproduced with each of 3 seeds." in said
    assert {path.name for path in out.iterdir()} == {"DropPath.json", "DropPath.svg"}
    found = measured.read(folder, "evidence", "DropPath")
    assert found == json.loads((out / "DropPath.json").read_text("utf-8"))
    assert "prefers-color-scheme" in (out / "DropPath.svg").read_text("utf-8")
    assert main(command) == 0  # what it wrote itself, it overwrites


def test_a_claim_that_fails_is_reported_and_is_no_error(given, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    given(toy(holds={"ours is 3": lambda found: found["ours"] == 3}))
    assert main(["evidence", "DropPath", "--seeds", "2"]) == 0
    said = capsys.readouterr().out
    assert "- ours is 3: true with 1 of 2 seeds" in said
    assert "Not reproduced: all conditions were true with 1 of 2 seeds." in said
    assert Path("layerzoo-evidence", "DropPath.json").is_file()


@pytest.mark.parametrize("name", ["DropPath.json", "DropPath.svg"])
def test_a_file_of_the_user_is_left_alone(given, name, tmp_path, capsys):
    ran = []
    given(toy(run=ran.append))
    (tmp_path / name).write_text("mine")
    assert main(["evidence", "DropPath", "--out", str(tmp_path)]) == 2
    assert "name another folder with `--out`. Received: " in capsys.readouterr().err
    assert [path.read_text() for path in tmp_path.iterdir()] == ["mine"]
    assert ran == []


def test_an_interrupt_leaves_no_file(given, tmp_path, capsys):
    def run(seed):
        if seed:
            raise KeyboardInterrupt
        return {"ours": 2.0, "other": 1.0}

    given(toy(run=run))
    assert main(["evidence", "DropPath", "--out", str(tmp_path)]) == 130
    assert list(tmp_path.iterdir()) == []
    assert capsys.readouterr().err.endswith("layerzoo: interrupted\n")


def test_without_a_name_the_experiments_are_listed(given, capsys):
    given(toy())
    assert main(["evidence"]) == 0
    assert capsys.readouterr().out == "DropPath\n    It adds.\n"


def test_no_seeds_are_refused(given, tmp_path, capsys):
    given(toy())
    assert main(["evidence", "DropPath", "--seeds", "0", "--out", str(tmp_path)]) == 2
    assert "`seeds` must be a positive integer" in capsys.readouterr().err


# What is shown.


@pytest.mark.parametrize(
    "evidence", [toy(), by_length(), toy(run=lambda s: {"ours": 1e9, "other": 2})]
)
def test_a_plot_shows_every_model_and_tells_its_numbers(evidence):
    found = reproduce("DropPath", evidence)
    drawing = plot("DropPath", found)
    root = ElementTree.fromstring(drawing)
    words = [each.text for each in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"ours", "other", "sum"} <= set(words)
    story = root.find("{http://www.w3.org/2000/svg}desc").text
    assert story.startswith("Medians of 3 seeds. ours")
    assert story.endswith(verdict(found))
    assert "nan" not in drawing
    width, height = (float(root.get(side)) for side in ("width", "height"))
    for each in root.iter("{http://www.w3.org/2000/svg}text"):
        assert -8 <= float(each.get("x")) <= width
        assert -8 <= float(each.get("y")) <= height
    ElementTree.fromstring(standalone(drawing))


def test_a_larger_number_stands_farther_right_or_higher():
    found = reproduce("DropPath", toy())
    drawn = re.findall(
        r'<circle class="ev-dot" cx="([\d.]+)" cy="([\d.]+)"', plot("DropPath", found)
    )
    xs, ys = np.array(drawn, float).T
    assert list(np.argsort(xs[:3])) == [0, 1, 2]
    assert len(set(ys[:3])) == 1
    rising = toy(run=lambda seed: {"ours": {1: 1.0, 2: 2.0, 4: 3.0}}, x="length")
    rising = dataclasses.replace(rising, holds={"always": lambda found: True})
    drawn = re.findall(
        r'<circle class="ev-dot" cx="([\d.]+)" cy="([\d.]+)"',
        plot("DropPath", reproduce("DropPath", rising)),
    )
    xs, ys = np.array(drawn, float).T
    assert list(np.argsort(xs)) == [0, 1, 2]
    assert list(np.argsort(-ys)) == [0, 1, 2]


def test_nothing_finite_is_not_drawn():
    found = reproduce("DropPath", toy(run=lambda seed: {"ours": math.inf, "other": math.nan}))
    assert plot("DropPath", found) == ""


def test_a_page_has_the_section_where_something_was_measured(tmp_path):
    docs, folder = tmp_path / "docs", tmp_path / "measured"
    evidence = by_length(limits="It is a toy.")
    measured.write(folder, "evidence", "DropPath", reproduce("DropPath", evidence))
    with pytest.MonkeyPatch.context() as patch:
        few = {name: layerzoo.catalogue()[name] for name in ("DropPath", "GatedMLP")}
        patch.setattr(pages, "catalogue", lambda: few)
        patch.setattr(pages.lists, "pages", lambda cards: {})
        found = {path.name: text for path, text in pages.render(docs).items()}
    assert "Does it do" not in found["gated_mlp.md"]
    assert "gated_mlp.evidence.svg" not in found
    page = found["drop_path.md"]
    headings = re.findall(r"^## (.*?)(?: \{.*\})?$", page, re.MULTILINE)
    place = headings.index("Does it do what the paper says?")
    assert headings[place - 1] == "Shapes, masks, precision"
    assert headings[place + 1] == "Properties verified"
    section = page.split("## Does it do what the paper says?")[1].split("## Properties")[0]
    assert "[arXiv:1512.03385](https://arxiv.org/abs/1512.03385), table 1" in section
    assert "The claim did not show here. Not reproduced: all conditions were true with 1" in section
    assert "- ours at 16 is below 1.5: true with 1 of 3 seeds." in section
    assert "| ours | 16 | 1.100 | 2.100 | 3.100 | 2.100 | 2.000 |" in section
    assert "| other | 16 | 9.000 | not finite | not finite | not finite | not finite |" in section
    command = f"KERAS_BACKEND={keras.backend.backend()} layerzoo evidence DropPath"
    assert f"```bash\n{command}\n```" in section
    assert "**Limits.** It is a toy.\n" in section
    assert '--8<-- "docs/layers/residual/drop_path.evidence.svg"' in section
    ElementTree.fromstring(found["drop_path.evidence.svg"])


# What the experiments share.


def test_the_text_is_that_of_python_and_its_end_is_held_out():
    text, symbols = tasks.characters()
    assert text.min() == 0
    assert text.max() == symbols - 1
    assert len(text) > 400_000
    pieces, following = tasks.windows(16, 50, seed=3)
    np.testing.assert_array_equal(pieces[:, 1:], following[:, :-1])
    whole, border = text.tobytes(), int(len(text) * 0.9) * text.itemsize
    held_out, _ = tasks.windows(64, 20, seed=3, held_out=True)
    assert all(piece.astype("int32").tobytes() in whole[border:] for piece in held_out)
    assert not any(piece.astype("int32").tobytes() in whole[:border] for piece in held_out)


def test_half_of_the_bags_hold_the_wanted_digit_where_it_is_said():
    images, labels = np.arange(40.0).reshape(20, 2), np.arange(20) % 10
    made, positive, place = tasks.bags(images, labels, wanted=9, size=5, count=40, seed=0)
    shown = (made[..., 0] / 2).astype(int) % 10
    assert positive.sum() == 20
    np.testing.assert_array_equal((shown == 9).sum(1), positive[:, 0])
    right = positive[:, 0] == 1
    assert (shown[right, place[right]] == 9).all()


def test_weights_of_a_block_are_counted_with_and_without_those_that_do_not_multiply():
    assert tasks.weights_of(ResNetBlock(64), 64) == 2 * 9 * 64 * 64 + 4 * 64
    assert tasks.weights_of(ResNetBlock(64), 64, kernels=True) == 2 * 9 * 64 * 64
    block = InvertedResidual(8, expansion=6)
    assert tasks.weights_of(block, 8, kernels=True) == 48 * 8 + 9 * 48 + 48 * 8


def test_without_scikit_learn_the_extra_is_named(monkeypatch):
    monkeypatch.setattr(tasks.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"needs the extra `demo`: .* Received: missing="):
        tasks.digits(0)


@pytest.mark.proof
def test_half_of_the_channels_are_broken_and_others_in_each_image():
    pytest.importorskip("sklearn", reason="the extra `demo` is not installed")
    images, _, _, _ = tasks.broken_channels(0)
    broken = images.std(axis=(1, 2)) > 1.2
    np.testing.assert_array_equal(broken.sum(-1), tasks.CHANNELS // 2)
    assert 0.4 < broken.mean(0).min() < broken.mean(0).max() < 0.6


def test_cross_entropy_is_that_of_keras():
    generator = np.random.default_rng(0)
    scores, labels = generator.normal(size=(3, 4, 5)), generator.integers(5, size=(3, 4))
    model = types.SimpleNamespace(predict=lambda *given, **more: scores)
    for last in (None, 2):
        part = slice(-last, None) if last else slice(None)
        expected = keras.losses.SparseCategoricalCrossentropy(from_logits=True)(
            labels[:, part], scores[:, part]
        )
        assert tasks.cross_entropy(model, None, labels, last) == pytest.approx(
            float(expected), 1e-5
        )


@pytest.mark.proof
def test_training_is_the_same_from_the_same_seed():
    inputs, targets = np.eye(4, dtype="float32"), np.arange(4)
    made = lambda: keras.Sequential([keras.Input((4,)), keras.layers.Dense(4)])  # noqa: E731
    first, second, other = (tasks.trained(made, inputs, targets, seed) for seed in (1, 1, 2))
    assert tasks.predicted(first, inputs).tolist() == tasks.predicted(second, inputs).tolist()
    assert tasks.predicted(first, inputs).tolist() != tasks.predicted(other, inputs).tolist()
    assert 0 <= tasks.accuracy(first, inputs, targets) <= 1


def test_nothing_else_than_numbers_and_words_is_written(given, tmp_path):
    given(by_length())
    found = files.run([catalogue()["DropPath"]], 1, None, tmp_path, files.Console(quiet=True))
    assert found == [measured.read(tmp_path, "evidence", "DropPath")]
