"""The layers at work: two small models learn to read the handwritten digits that scikit-learn ships.

Each image, 8 by 8 pixels, is cut into 16 patches, which form a sequence for attention. A Sequential model
reads one image. A Functional model reads two with the same layers and answers two questions: which digit
the first image shows, and whether the second shows the same one. Both models use recipes from several
families. They are trained, saved, and loaded again in a new process, which knows the layers only through
`import layerzoo` and must give the same predictions, bit for bit.
"""

import importlib.util
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import keras
import numpy as np
from keras import layers
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from layerzoo import DropPath, GatedMLP, Residual, RotaryEmbedding, SelfAttention
from layerzoo._backend import install
from layerzoo_entry.files import is_ours
from layerzoo_entry.usage import NotInstalled, UsageError

EPOCHS = 20
GOAL = 0.95
"""The share of held-out digits that each model should read correctly."""

MARKS = ('"goal"', '"reloaded_equal"')
"""What is in the `results.json` of every run."""

FILES = ("sequential.keras", "functional.keras", "demo.png", "results.json")


def load_digits(seed):
    """The 1,797 digits as patches `(image, 16, 4)` and labels, with a quarter of them held out.

    Returns:
        Training patches, held-out patches, training labels, held-out labels.
    """
    from sklearn import datasets, model_selection

    digits = datasets.load_digits()
    pixels = digits.images.astype("float32") / 16
    patches = pixels.reshape(-1, 4, 2, 4, 2).swapaxes(2, 3).reshape(-1, 16, 4)
    return model_selection.train_test_split(
        patches, digits.target, test_size=0.25, stratify=digits.target, random_state=seed
    )


def pairs(patches, labels, times, seed):
    """Pairs with every image first `times` times; about half of the pairs show the same digit twice."""
    generator = np.random.default_rng(seed)
    first = np.tile(np.arange(len(labels)), times)
    same = generator.random(len(first)) < 0.5
    second = []
    for index, wanted in zip(first, same, strict=True):
        candidates = np.flatnonzero((labels == labels[index]) == wanted)
        second.append(generator.choice(candidates[candidates != index]))
    inputs = {"first": patches[first], "second": patches[second]}
    return inputs, {"digit": labels[first], "same": same.astype("float32")[:, None]}


# --8<-- [start:models]
def sequential_model():
    """One image in, one digit out."""
    model = keras.Sequential(
        [
            keras.Input((16, 4)),
            layers.Dense(32),
            Residual(
                SelfAttention(4, position=RotaryEmbedding()),
                norm="pre",
                drop_path=0.1,
                name="attend",
            ),
            Residual(GatedMLP(64, dropout=0.1), norm="pre", drop_path=0.1),
            layers.LayerNormalization(),
            layers.Flatten(),
            layers.Dropout(0.3),
            layers.Dense(10, activation="softmax"),
        ],
        name="sequential",
    )
    model.compile(
        optimizer="adam",
        loss="sparse_categorical_crossentropy",
        metrics=[keras.metrics.SparseCategoricalAccuracy(name="digit_accuracy")],
    )
    return model


def functional_model():
    """Two images in; out come the digit of the first, and whether both show the same digit.

    `attend`, `gate` and the layers around them read both images with one set of weights.
    """
    patch = layers.Dense(32, name="patch")
    attend = Residual(
        SelfAttention(4, position=RotaryEmbedding()), norm="pre", drop_path=0.1, name="attend"
    )
    gate = Residual(GatedMLP(64, dropout=0.1), norm="pre", drop_path=0.1, name="gate")
    normalize = layers.LayerNormalization(name="normalize")
    flatten = layers.Flatten(name="flatten")
    summarize = layers.Dense(64, name="summarize")

    def read(image):
        return summarize(flatten(normalize(gate(attend(patch(image))))))

    first = keras.Input((16, 4), name="first")
    second = keras.Input((16, 4), name="second")
    features = read(first)
    digit = layers.Dense(10, activation="softmax", name="digit")(layers.Dropout(0.3)(features))

    # Without an activation, GatedMLP is a quadratic form, which suits a distance between two images.
    gap = layers.Subtract()([features, read(second)])
    gap = layers.Add()([gap, DropPath(0.1)(GatedMLP(64, activation=None)(gap))])
    same = layers.Dense(1, activation="sigmoid", name="same")(gap)

    model = keras.Model(
        {"first": first, "second": second}, {"digit": digit, "same": same}, name="functional"
    )
    model.compile(
        optimizer="adam",
        loss={"digit": "sparse_categorical_crossentropy", "same": "binary_crossentropy"},
        metrics={"digit": ["accuracy"], "same": ["accuracy"]},
    )
    return model


# --8<-- [end:models]
class ProgressBar(keras.callbacks.Callback):
    """A line in a `rich` progress display that follows the training of one model."""

    def __init__(self, progress):
        super().__init__()
        self.progress = progress

    def on_train_begin(self, logs=None):
        """Add the line."""
        self.line = self.progress.add_task(self.model.name, total=self.params["epochs"], state="")

    def on_epoch_end(self, epoch, logs=None):
        """Advance the bar."""
        state = f"loss {logs['loss']:.3f}, held-out accuracy {logs['val_digit_accuracy']:.3f}"
        self.progress.update(self.line, advance=1, state=state)


def train(model, training, held_out, progress):
    """Fit a model. The held-out digits only draw the learning curves; they decide nothing.

    Returns:
        The learning curves and the seconds taken.
    """
    start = time.perf_counter()
    history = model.fit(
        *training,
        validation_data=held_out,
        epochs=EPOCHS,
        batch_size=32,
        verbose=0,
        callbacks=[
            keras.callbacks.LearningRateScheduler(
                lambda epoch: 0.003 * math.cos(math.pi / 2 * epoch / EPOCHS)
            ),
            ProgressBar(progress),
        ],
    )
    return history.history, time.perf_counter() - start


def predict(model, inputs):
    """One array for each output of the model."""
    return keras.tree.flatten(model.predict(inputs, batch_size=512, verbose=0))


RELOAD = """
import sys
from pathlib import Path

import keras
import numpy as np

import layerzoo

folder = Path(sys.argv[1])
held_out = dict(np.load(folder / "held_out.npz"))
for name, inputs in ("sequential", held_out["first"]), ("functional", held_out):
    model = keras.saving.load_model(folder / f"{name}.keras")
    outputs = keras.tree.flatten(model.predict(inputs, batch_size=512, verbose=0))
    np.savez(folder / f"{name}.npz", *outputs)
"""


def reload_elsewhere(folder, held_out):
    """The predictions of both models, loaded from `folder` in a process that never imports this module."""
    np.savez(folder / "held_out.npz", **held_out)
    finished = subprocess.run(
        [sys.executable, "-c", RELOAD, folder],
        env={**os.environ, "KERAS_BACKEND": keras.backend.backend()},
        capture_output=True,
        text=True,
    )
    if finished.returncode:
        raise RuntimeError(
            "The saved models must load and predict in a new process. "
            f"Received: exit status {finished.returncode} and\n{finished.stderr}"
        )
    return {
        name: list(np.load(folder / f"{name}.npz").values())
        for name in ("sequential", "functional")
    }


def attention_scores(model, patches):
    """The attention scores `(head, query, key)` of one digit in the Sequential model."""
    attend = model.get_layer("attend")
    x = keras.Model(model.inputs[0], attend.input)(patches[None])
    _, scores = attend.layer(attend.norm_in(x), return_attention_scores=True)
    return keras.ops.convert_to_numpy(scores)[0]


def draw_curves(axes, curves):
    """Draw how each model's accuracy grows, on training digits and on held-out digits."""
    for (name, curve), colour in zip(curves.items(), ("#0072B2", "#D55E00"), strict=True):
        epochs = range(1, len(curve["digit_accuracy"]) + 1)
        training, held_out = curve["digit_accuracy"], curve["val_digit_accuracy"]
        axes.plot(epochs, held_out, "-", color=colour, lw=2.5, label=f"{name}: held out")
        axes.plot(epochs, training, "--", color=colour, label=f"{name}: training, with dropout")
    axes.axhline(GOAL, color="0.4", lw=1, ls=":", label=f"goal: {GOAL}")
    axes.set_title("Accuracy on handwritten digits", fontsize=15)
    axes.set_xlabel("epoch", fontsize=13)
    axes.set_ylabel("share of digits read correctly", fontsize=13)
    axes.set_ylim(0.7, 1.0)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.tick_params(labelsize=12)
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right", fontsize=12)


def draw_attention(area, patches, scores):
    """Draw one digit as dots, over the attention that each patch receives in each head."""
    from matplotlib.colors import LinearSegmentedColormap

    pixels = patches.reshape(4, 4, 2, 2).swapaxes(1, 2).reshape(8, 8)
    row, column = np.indices(pixels.shape) + 0.5
    received = scores.mean(axis=1).reshape(-1, 4, 4)
    colours = LinearSegmentedColormap.from_list("attention", ["white", "#E69F00"])
    panels = area.subplots(2, len(received) // 2)
    for head, (panel, heat) in enumerate(zip(panels.flat, received, strict=True), start=1):
        shown = panel.imshow(heat, cmap=colours, vmin=0, vmax=received.max(), extent=(0, 8, 8, 0))
        panel.scatter(column, row, 220 * pixels, color="0.15", linewidths=0)
        panel.set_title(f"head {head}", fontsize=13)
        panel.set_xticks((2, 4, 6), labels=[])
        panel.set_yticks((2, 4, 6), labels=[])
        panel.tick_params(length=0)
        panel.grid(color="0.7", lw=0.8)
    bar = area.colorbar(shown, ax=panels, shrink=0.95)
    bar.set_label(f"mean attention received (uniform: {1 / heat.size:.3f})", fontsize=13)
    bar.ax.tick_params(labelsize=12)


def figure(path, curves, patches, scores, caption):
    """Save the picture: learning curves on the left, attention for one digit on the right."""
    from matplotlib.figure import Figure

    page = Figure(figsize=(13, 5.6), layout="constrained")
    left, right = page.subfigures(1, 2, squeeze=False, width_ratios=(1, 1.05), wspace=0.05)[0]
    draw_curves(left.subplots(), curves)
    draw_attention(right, patches, scores)
    right.suptitle(caption, fontsize=14)
    page.savefig(path, dpi=150)


def table(results):
    """The results as a `rich` table."""
    made = Table(
        title=f"Handwritten digits: layerzoo on {results['backend']}, seed {results['seed']}",
        caption="digits, pairs: the share of held-out ones answered correctly. "
        "bit-equal: whether a new process that loads the saved file predicts the same, bit for bit.",
    )
    made.add_column("model")
    for heading in ("parameters", "digits", "pairs", "training", "bit-equal"):
        made.add_column(heading, justify="right")
    for name, row in results["models"].items():
        below = f", below {GOAL}" if row["test_accuracy"] < GOAL else ""
        made.add_row(
            name,
            f"{row['parameters']:,}",
            f"{row['test_accuracy']:.4f}{below}",
            f"{row['same_accuracy']:.4f}" if "same_accuracy" in row else "",
            f"{row['train_seconds']:.1f} s",
            "yes" if row["reloaded_equal"] else "no",
        )
    return made


def require_extra():
    """Raise before any work is done if the extra `demo` is not installed."""
    missing = [name for name in ("matplotlib", "sklearn") if not importlib.util.find_spec(name)]
    if missing:
        raise NotInstalled(
            f"The demo needs the extra `demo`: {install('demo')}. Received: missing={missing}"
        )


def train_and_reload(folder, seed, console):
    """Run the whole demo and write every file to `folder`.

    Returns:
        What the table shows, as plain data.
    """
    keras.utils.set_random_seed(seed)
    patches, test_patches, labels, test_labels = load_digits(seed)
    test_inputs, test_answers = pairs(test_patches, test_labels, times=1, seed=seed)
    jobs = [
        (sequential_model(), (patches, labels), (test_patches, test_labels)),
        (functional_model(), pairs(patches, labels, 2, seed), (test_inputs, test_answers)),
    ]
    predictions, curves, models = {}, {}, {}
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("epoch {task.completed}/{task.total}"),
        TextColumn("{task.fields[state]}"),
        TimeElapsedColumn(),
        console=console,
        disable=not console.is_terminal,
    ) as progress:
        for model, training, held_out in jobs:
            curves[model.name], seconds = train(model, training, held_out, progress)
            predictions[model.name] = predict(model, held_out[0])
            model.save(folder / f"{model.name}.keras")
            digits = predictions[model.name][0].argmax(axis=-1)
            models[model.name] = {
                "parameters": model.count_params(),
                "test_accuracy": float(np.mean(digits == test_labels)),
                "train_seconds": seconds,
            }
    same = predictions["functional"][1] > 0.5
    models["functional"]["same_accuracy"] = float(np.mean(same == test_answers["same"]))

    with console.status("Loading both models in a new process"):
        reloaded = reload_elsewhere(folder, test_inputs)
    for name, row in models.items():
        together = zip(predictions[name], reloaded[name], strict=True)
        row["reloaded_equal"] = all(np.array_equal(here, there) for here, there in together)

    read = predictions["sequential"][0][0].argmax()
    caption = f"Where the Sequential model looks in a held-out {test_labels[0]}, read as {read}"
    scores = attention_scores(jobs[0][0], test_patches[0])
    figure(folder / "demo.png", curves, test_patches[0], scores, caption)
    results = {
        "backend": keras.backend.backend(),
        "keras": keras.__version__,
        "seed": seed,
        "goal": GOAL,
        "models": models,
    }
    (folder / "results.json").write_text(json.dumps(results, indent=2) + "\n")
    return results


def run(out: Path, seed: int = 0) -> None:
    """Train, save, reload and report; write both models, `results.json` and `demo.png` to `out`.

    Args:
        out: Folder for the results. Nothing in it changes before all of them are complete.
        seed: Seed of the split, the pairs, the weights and the training.

    Raises:
        NotInstalled: the extra `demo` is not installed.
        UsageError: `out` is a file, or a path inside a file, or has files that another program wrote.
        RuntimeError: a model loaded in a new process does not predict the same as before.
    """
    require_extra()
    out = out.resolve()
    existing = next(path for path in (out, *out.parents) if path.exists())
    if not existing.is_dir():
        raise UsageError(
            f"`out` must be a folder, or a path for a new one. Received: out={str(out)!r}"
        )
    taken = [name for name in FILES if (out / name).exists()]
    if taken and not ("results.json" in taken and is_ours(out / "results.json", *MARKS)):
        raise UsageError(
            "The demo overwrites only what an earlier demo wrote: name another folder with `--out`. "
            f"Received: out={str(out)!r}, which has {', '.join(taken)}"
        )

    console = Console()
    # On the same disk as the results, so that each finished file moves into place in one step.
    with tempfile.TemporaryDirectory(prefix=".layerzoo-demo-", dir=existing) as scratch:
        results = train_and_reload(Path(scratch), seed, console)
        console.print(table(results))
        equal = {name: row["reloaded_equal"] for name, row in results["models"].items()}
        if not all(equal.values()):
            raise RuntimeError(
                "A reloaded model must predict the same as before it was saved, bit for bit. "
                f"Received: equal={equal}"
            )
        out.mkdir(parents=True, exist_ok=True)
        for name in FILES:
            os.replace(Path(scratch, name), out / name)
    print(f"Written to {out}: {', '.join(FILES)}")
