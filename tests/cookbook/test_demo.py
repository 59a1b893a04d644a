"""The demo on a few digits: the whole of it, at its full length, is a step of its own in CI."""

import io
import json
import re
import sys

import keras
import numpy as np
import pytest
from rich.console import Console
from rich.progress import Progress, TextColumn

from layerzoo.cookbook import demo

datasets = pytest.importorskip("sklearn.datasets", reason="the extra `demo` is not installed")
pytest.importorskip("matplotlib", reason="the extra `demo` is not installed")

BUILDERS = [demo.sequential_model, demo.functional_model]


@pytest.fixture(autouse=True)
def compiled_quickly():
    """On JAX, compile as users do."""


@pytest.fixture(autouse=True)
def seeded():
    keras.utils.set_random_seed(0)


@pytest.fixture(scope="module")
def digits():
    return demo.load_digits(seed=0)


@pytest.fixture
def small(monkeypatch, digits):
    """One epoch on 160 digits, 80 held out."""
    patches, test_patches, labels, test_labels = digits
    few = patches[:160], test_patches[:80], labels[:160], test_labels[:80]
    monkeypatch.setattr(demo, "EPOCHS", 1)
    monkeypatch.setattr(demo, "load_digits", lambda seed: few)
    return few


@pytest.fixture
def untrained(monkeypatch, small):
    """The models stay as they were made."""
    curve = {"digit_accuracy": [0.1], "val_digit_accuracy": [0.1]}
    monkeypatch.setattr(demo, "train", lambda *arguments: (curve, 0.0))


def everything_below(folder):
    return {
        path.relative_to(folder): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


def test_every_digit_is_either_trained_on_or_held_out(digits):
    patches, test_patches, labels, test_labels = digits
    assert patches.shape == (1347, 16, 4)
    assert test_patches.shape == (450, 16, 4)

    split = np.concatenate([patches, test_patches])
    images = split.reshape(-1, 4, 4, 2, 2).swapaxes(2, 3).reshape(-1, 64)
    shipped = datasets.load_digits()
    labelled = np.column_stack([16 * images, np.concatenate([labels, test_labels])])
    expected = np.column_stack([shipped.data, shipped.target])
    assert sorted(map(tuple, labelled)) == sorted(map(tuple, expected))
    assert (
        len(np.unique(images, axis=0)) == 1797
    )  # no image is there twice, so none is on both sides


def test_the_split_is_stratified_and_follows_the_seed(digits):
    _, test_patches, labels, test_labels = digits
    shares = np.bincount(test_labels) / np.bincount(np.concatenate([labels, test_labels]))
    np.testing.assert_allclose(shares, 0.25, atol=0.005)
    np.testing.assert_array_equal(demo.load_digits(seed=0)[1], test_patches)
    assert not np.array_equal(demo.load_digits(seed=1)[1], test_patches)


def test_pairs_are_two_images_with_the_right_answer(digits):
    _, patches, _, labels = digits
    inputs, answers = demo.pairs(patches, labels, times=2, seed=3)
    number = {image.tobytes(): index for index, image in enumerate(patches)}
    first, second = (
        np.array([number[image.tobytes()] for image in inputs[name]])
        for name in ("first", "second")
    )
    np.testing.assert_array_equal(np.bincount(first), 2)
    np.testing.assert_array_equal(answers["digit"], labels[first])
    np.testing.assert_array_equal(answers["same"][:, 0], labels[first] == labels[second])
    assert np.all(first != second)
    assert 0.4 < answers["same"].mean() < 0.6


@pytest.mark.parametrize("build", BUILDERS)
def test_recipes_of_all_three_families_make_up_a_model(build):
    recipes = set(re.findall(r"layerzoo>(\w+)", build().to_json()))
    assert recipes >= {"SelfAttention", "RotaryEmbedding", "Residual", "GatedMLP"}
    assert build is demo.sequential_model or "DropPath" in recipes


def test_the_functional_model_reads_both_images_with_the_same_layers(digits):
    model = demo.functional_model()
    config = {layer["name"]: layer for layer in model.get_config()["layers"]}
    assert len(config["attend"]["inbound_nodes"]) == len(config["gate"]["inbound_nodes"]) == 2

    # Read by the same weights, an image is at no distance from itself, whatever it shows.
    images, others = digits[1][:8], digits[1][8:16]
    _, with_itself = demo.predict(model, {"first": images, "second": images})
    _, with_another = demo.predict(model, {"first": images, "second": others})
    assert len(np.unique(with_itself)) == 1
    assert len(np.unique(with_another)) == 8


@pytest.mark.proof
def test_training_shows_its_progress_and_gives_the_learning_curves(small):
    patches, test_patches, labels, test_labels = small
    screen = io.StringIO()
    columns = [TextColumn("{task.description} {task.completed}/{task.total} {task.fields[state]}")]
    console = Console(file=screen, force_terminal=True, width=100)
    model = demo.sequential_model()
    before = model.get_weights()
    with Progress(*columns, console=console) as progress:
        curves, seconds = demo.train(
            model, (patches, labels), (test_patches, test_labels), progress
        )
    read = demo.predict(model, test_patches)[0].argmax(axis=-1)
    assert curves["val_digit_accuracy"] == [pytest.approx(np.mean(read == test_labels))]
    assert "sequential 0/1" in screen.getvalue()
    assert f"held-out accuracy {curves['val_digit_accuracy'][0]:.3f}" in screen.getvalue()
    assert seconds > 0
    assert not any(map(np.array_equal, before, model.get_weights()))


def test_scores_are_those_that_the_model_uses(digits):
    model = demo.sequential_model()
    scores = demo.attention_scores(model, digits[1][0])
    assert scores.shape == (4, 16, 16)
    np.testing.assert_allclose(scores.sum(axis=-1), 1, rtol=1e-5)
    attend = model.get_layer("attend")
    x = attend.norm_in(model.layers[0](digits[1][:1]))
    expected = attend.layer(x, return_attention_scores=True)[1]
    np.testing.assert_allclose(scores, keras.ops.convert_to_numpy(expected)[0], rtol=1e-5)


@pytest.mark.proof  # two models are trained, saved, and loaded by another process
def test_a_run_leaves_what_it_reports(tmp_path, small, capsys):
    out = tmp_path / "deep" / "results"
    demo.run(out, seed=4)
    assert {path.name for path in out.iterdir()} == set(demo.FILES)
    assert [path.name for path in tmp_path.iterdir()] == ["deep"]
    assert (out / "demo.png").read_bytes().startswith(b"\x89PNG")

    results = json.loads((out / "results.json").read_text())
    assert results["backend"] == keras.backend.backend()
    assert results["seed"] == 4
    _, test_patches, _, test_labels = small
    inputs, answers = demo.pairs(test_patches, test_labels, times=1, seed=4)
    shown = capsys.readouterr().out
    for name, held_out in ("sequential", test_patches), ("functional", inputs):
        row = results["models"][name]
        model = keras.saving.load_model(out / f"{name}.keras")
        digit, *same = demo.predict(model, held_out)
        assert row["test_accuracy"] == np.mean(digit.argmax(axis=-1) == test_labels)
        assert row["test_accuracy"] < demo.GOAL
        assert f"{row['test_accuracy']:.4f}, below 0.95" in shown
        if same:
            assert row["same_accuracy"] == np.mean((same[0] > 0.5) == answers["same"])
        assert row["parameters"] == model.count_params()
        assert row["reloaded_equal"] is True
    assert "epoch" not in shown  # no bar where the output is no terminal


@pytest.mark.parametrize("older", [False, True])
def test_an_interrupted_run_leaves_everything_as_it_was(tmp_path, untrained, monkeypatch, older):
    out = tmp_path / "results"
    if older:
        out.mkdir()
        for name in demo.FILES:
            (out / name).write_text('{"goal": 1, "reloaded_equal": true}')
    before = everything_below(tmp_path)
    train = demo.train

    def interrupted(model, *arguments):
        if model.name == "functional":
            assert any(path.name == "sequential.keras" for path in set_apart())
            raise KeyboardInterrupt
        return train(model, *arguments)

    def set_apart():
        return everything_below(tmp_path).keys() - before.keys()

    monkeypatch.setattr(demo, "train", interrupted)
    with pytest.raises(KeyboardInterrupt):
        demo.run(out)
    assert everything_below(tmp_path) == before


def test_unequal_predictions_are_told_and_not_written(tmp_path, untrained, monkeypatch, capsys):
    predicted = []
    predict = demo.predict

    def noted(*arguments):
        predicted.append(predict(*arguments))
        return predicted[-1]

    def almost(folder, held_out):
        (digit,), functional = predicted
        digit = digit.copy()
        digit[0, 0] = np.nextafter(digit[0, 0], np.float32(1))
        return {"sequential": [digit], "functional": functional}

    monkeypatch.setattr(demo, "predict", noted)
    monkeypatch.setattr(demo, "reload_elsewhere", almost)
    told = r"bit for bit\. Received: equal={'sequential': False, 'functional': True}"
    with pytest.raises(RuntimeError, match=told):
        demo.run(tmp_path / "results")
    assert "no" in capsys.readouterr().out.split()
    assert not list(tmp_path.iterdir())


def test_a_new_process_that_fails_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(demo, "RELOAD", "raise SystemExit('not a valid zip file')")
    told = r"in a new process\. Received: exit status 1 and\nnot a valid zip file"
    with pytest.raises(RuntimeError, match=told):
        demo.reload_elsewhere(tmp_path, {"first": np.zeros((1, 16, 4))})


def test_out_must_be_a_folder_or_become_one(tmp_path):
    file = tmp_path / "file"
    file.write_text("mine")
    for out in file, file / "results":
        with pytest.raises(ValueError, match=rf"`out` must be a folder.* Received: out='{out}'"):
            demo.run(out)
    assert file.read_text() == "mine"


def test_files_of_others_are_not_overwritten(tmp_path):
    mine = {"demo.png": "mine", "results.json": '{"mine": 1}', "functional.keras": "mine"}
    for name, text in mine.items():
        (tmp_path / name).write_text(text)
        with pytest.raises(ValueError, match=rf"earlier demo wrote.*Received: out=.*{name}"):
            demo.run(tmp_path)
        assert (tmp_path / name).read_text() == text


@pytest.mark.parametrize("module", ["matplotlib", "sklearn"])
def test_a_missing_extra_is_named_before_any_work(tmp_path, monkeypatch, module):
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setattr(demo, "load_digits", None)
    expected = rf"pip install .*\[demo\].*missing=\[\'{module}\'\]"
    with pytest.raises(ImportError, match=expected):
        demo.run(tmp_path / "results")
    assert not list(tmp_path.iterdir())
