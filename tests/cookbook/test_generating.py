"""The command that generates: its model and files on a few steps, its loops, and what it measures."""

import io
import signal
import subprocess
import sys
from xml.etree import ElementTree

import keras
import numpy as np
import pytest
from rich.console import Console

from layerzoo.cookbook.generating import characters, command, costs
from layerzoo.cookbook.pages.generating import generating_page, generating_picture
from layerzoo_entry.cli import main

BACKEND = keras.backend.backend()


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    return characters.character_model(width=16, blocks=1)


@pytest.fixture
def small(monkeypatch, model):
    """A model that trains at once."""
    monkeypatch.setattr(characters, "character_model", lambda: model)
    monkeypatch.setattr(characters, "corpus", lambda: np.arange(1, 6000, dtype="int32") % 127 + 1)
    monkeypatch.setattr(characters, "CONTEXT", 16)


def console():
    return Console(file=io.StringIO(), width=200)


def test_the_corpus_is_ascii_without_padding():
    text = characters.corpus()
    assert len(text) > 300_000
    assert 0 < text.min() < text.max() < characters.LETTERS
    assert characters.text_of(characters.numbers("a é")) == "a ?"


def test_a_window_is_followed_by_the_next_character():
    text = np.arange(1000, dtype="int32")
    x, y = characters.windows(text, 50, seed=0)
    assert x.shape == y.shape == (50, characters.CONTEXT)
    np.testing.assert_array_equal(y, x + 1)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_with_and_without_a_state_the_text_is_the_same(model, temperature):
    prompt = characters.numbers("The ")
    texts = [
        [each for each, _ in characters.generate(loop(model, 16), prompt, 12, temperature, 0)]
        for loop in (characters.with_state, characters.without_state)
    ]
    assert texts[0] == texts[1]
    assert len(texts[0]) == 12


def test_the_loss_is_the_mean_over_characters(model):
    text = np.random.default_rng(0).integers(1, 128, 2 * characters.CONTEXT + 1)
    x = text[:-1].reshape(2, -1)
    scores = keras.ops.convert_to_numpy(keras.ops.log_softmax(model(x.astype("int32"))))
    due = -np.mean([scores[i, j, text[i * x.shape[1] + j + 1]] for i, j in np.ndindex(x.shape)])
    assert characters.loss_of(model, text.astype("int32")) == pytest.approx(due, rel=1e-4)


def test_a_model_is_trained_once_and_then_loaded(small, tmp_path):
    path, told = tmp_path / "model.keras", console()
    found = command.run(path, "A ", 5, 0.0, steps=3, console=told)
    assert (found["steps"], len(found["text"]), found["same"]) == (3, 5, True)
    assert f"saved {path}" in told.file.getvalue()
    assert "the first 5 characters are the same" in told.file.getvalue()
    assert [each.name for each in tmp_path.iterdir()] == ["model.keras"]
    before = path.read_bytes()
    again = command.run(path, "A ", 5, 0.0, console=console())
    assert path.read_bytes() == before
    assert "steps" not in again
    assert again["text"] == found["text"]


def test_a_first_interrupt_ends_the_training_and_keeps_the_model(small, tmp_path, monkeypatch):
    path = tmp_path / "model.keras"
    steps = []

    def interrupting(step, loss):
        steps.append(step)
        if step == 2:
            signal.raise_signal(signal.SIGINT)

    train = characters.train
    monkeypatch.setattr(
        characters, "train", lambda *given: train(*given[:-1], progress=interrupting)
    )
    with pytest.raises(KeyboardInterrupt):
        command.run(path, steps=9, console=console())
    assert steps == [1, 2]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    keras.saving.load_model(path)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("notes.keras", "overwrites only what it wrote itself"),
        ("model.h5", r"must end in `\.keras`"),
        ("none/model.keras", "in an existing folder"),
    ],
)
def test_a_file_of_the_user_is_refused(path, said, tmp_path):
    notes = tmp_path / "notes.keras"
    notes.write_text("mine")
    with pytest.raises(ValueError, match=said):
        command.run(tmp_path / path, console=console())
    assert notes.read_text() == "mine"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (dict(prompt=""), "`prompt` must have a character"),
        (dict(count=0), "`count` must be a positive integer"),
        (dict(steps=0), "`steps` must be a positive integer"),
        (dict(temperature=-1.0), "`temperature` must be 0 or more"),
        (dict(temperature=float("nan")), "`temperature` must be 0 or more"),
    ],
)
def test_wrong_arguments_are_refused_before_training(given, said, tmp_path):
    with pytest.raises(ValueError, match=said):
        command.run(tmp_path / "model.keras", console=console(), **given)
    assert not list(tmp_path.iterdir())


def test_the_command_line_says_what_is_wrong(tmp_path, capsys):
    assert main(["generate", str(tmp_path / "model.h5")]) == 2
    assert "must end in `.keras`" in capsys.readouterr().err


def test_the_memory_of_states_is_that_of_their_tensors():
    for row in costs.memory():
        layer = costs.STATES[row["layer"]]()
        layer.build((None, None, costs.WIDTH))
        state = layer.get_initial_state(1, costs.PLACE)
        sizes = [keras.ops.convert_to_numpy(each).nbytes for each in state.values()]
        assert sum(sizes) == row["bytes"]
    steps = {row["layer"]: row["step_bytes"] for row in costs.memory()}
    assert steps["SelfAttention"] == 2 * costs.WIDTH * 4
    assert steps["LinearAttention"] == steps["SelfAttention, window of 256"] == 0


@pytest.mark.parametrize("way", costs.WAYS[BACKEND])
def test_each_way_to_run_a_step_gives_the_same(way, monkeypatch):
    monkeypatch.setattr(costs, "WAYS", {BACKEND: (way,)})
    (row,) = costs.beside_keras_hub(lambda text: None, [2], place=8, rounds=1)
    assert (row["batch"], row["way"]) == (2, way)
    assert row["traces"] == (None if way == "eager" else 1)
    assert min(row["ms"], row["bound_ms"], row["whole_ms"]) > 0
    assert row["difference"] is None or row["difference"] < 1e-5


def found(backend="torch"):
    step = dict(
        batch=1,
        way="eager",
        ms=2.0,
        hub_ms=4.0,
        difference=1e-7,
        copy_gb_per_s=8.0,
        bound_ms=1.6,
        traces=1,
        whole_ms=900.0,
        prompt_ms=1000.0,
    )
    return {
        "text": command.about(BACKEND)
        | dict(characters=1000, parameters=10, steps=3, seconds=4, loss=1.5, prompt="A ")
        | dict(text="cat|*", temperature=0.5, same=True),
        backend: command.about(BACKEND)
        | {
            "lengths": [dict(length=n, with_ms=1.0, without_ms=n / 64) for n in (64, 128)],
            "memory": [
                dict(layer="SelfAttention", bytes=4_000_000, step_bytes=4096),
                dict(layer="LinearAttention", bytes=100_000, step_bytes=0),
            ],
            "steps": [step],
        },
    }


def test_the_blocks_of_the_page_are_written_between_their_marks():
    marks = "".join(
        f"<!-- {name}: written by `layerzoo docs` -->\nold\n<!-- {name}: end -->\n"
        for name in ("text", "plot", "memory", "cost")
    )
    page = generating_page(f"# Title\n\n{marks}By hand.\n", found())
    assert page.startswith("# Title\n\n<!-- text")
    assert page.endswith("end -->\nBy hand.\n")
    assert "old" not in page
    assert "```text\nA cat|*\n```" in page
    assert "| SelfAttention | 4,096 | 4.00 MB |" in page
    assert "| LinearAttention | none | 0.10 MB |" in page
    assert "| 1 | eager | 2.00 | 4.00 | 0.50 | 1.60 | 1.25 | 900 |" in page
    assert generating_page(page, found()) == page


def test_the_plot_names_each_line():
    drawn = generating_picture(found())
    words = "".join(ElementTree.fromstring(drawn).itertext())
    assert "PyTorch, with a state" in words
    assert "PyTorch, without a state" in words
    assert generating_picture({}) == ""


@pytest.mark.proof
def test_the_command_writes_what_the_pages_read(tmp_path):
    run = [sys.executable, "-W", "ignore", "-m", "layerzoo", "generate", "model.keras"]
    given = ["--steps", "2", "--characters", "4"]
    subprocess.run([*run, *given], cwd=tmp_path, check=True, capture_output=True)
    assert [each.name for each in tmp_path.iterdir()] == ["model.keras"]
