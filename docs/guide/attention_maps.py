"""The models, numbers and pictures of the page on attention maps: `python docs/guide/attention_maps.py`.

It writes pictures to `docs/assets/attention_maps` and numbers to `measured/guide/attention_maps.json`, or
both to the folder that you pass.
"""

import json
import sys
import time
from pathlib import Path

import keras
import numpy as np
from matplotlib import rc_context
from matplotlib.colors import LinearSegmentedColormap, to_rgba
from matplotlib.offsetbox import AnnotationBbox, OffsetImage
from sklearn import datasets, model_selection

from layerzoo import GatedAttentionPooling, SelfAttention
from layerzoo.cookbook.attention_maps import attention_scores, draw_attention

STEPS, HELD_OUT, SEED = 12, 500, 0


def load_digits():
    """Training images, held-out images, training digits, held-out digits."""
    digits = datasets.load_digits()
    images = digits.data.astype("float32") / 16
    return model_selection.train_test_split(
        images, digits.target, test_size=0.25, stratify=digits.target, random_state=SEED
    )


# --8<-- [start:cards]
def rows_of_cards(images, digits, count, generator):
    """Rows of cards. Each card has a digit and +1 or -1; its answer is the mean over its digit."""
    cards = generator.integers(len(images), size=(count, STEPS))
    borne = generator.choice([-1.0, 1.0], size=(count, STEPS))
    shown = digits[cards]
    same = shown[:, :, None] == shown[:, None, :]
    means = np.sum(same * borne[:, None, :], axis=-1) / np.sum(same, axis=-1)
    inputs = np.concatenate([images[cards], borne[..., None]], axis=-1)
    return inputs.astype("float32"), means[..., None].astype("float32"), shown


def model_of_cards():
    """Reads a row of cards, and gives one answer for each card."""
    return keras.Sequential(
        [
            keras.Input((STEPS, 65)),  # 64 pixels, and the card's +1 or -1
            keras.layers.Dense(64, activation="relu"),
            SelfAttention(2, qk_norm=True, name="attend"),
            keras.layers.Dense(1),
        ],
        name="cards",
    )


# --8<-- [end:cards]
# --8<-- [start:bags]
def bags(images, digits, count, generator):
    """Bags of images. Every second bag holds at least one nine, and the answer says whether it does."""
    nines, others = np.flatnonzero(digits == 9), np.flatnonzero(digits != 9)
    bag = generator.choice(others, size=(count, STEPS))
    placed = generator.random((count, STEPS)) < 0.1
    placed[np.arange(count), generator.integers(STEPS, size=count)] = True
    placed[1::2] = False
    bag = np.where(placed, generator.choice(nines, size=(count, STEPS)), bag)
    return images[bag], placed.any(axis=-1, keepdims=True).astype("float32"), digits[bag]


def model_of_bags():
    """Reads a bag, and says whether it holds a nine."""
    return keras.Sequential(
        [
            keras.Input((None, 64)),
            keras.layers.Dense(32, activation="relu"),
            GatedAttentionPooling(16, name="pool"),
            keras.layers.Dense(1, activation="sigmoid"),
        ],
        name="bags",
    )


# --8<-- [end:bags]
def trained(model, loss, inputs, answers, epochs):
    """Fit a model.

    Returns:
        The seconds that training took.
    """
    start = time.perf_counter()
    model.compile(keras.optimizers.Adam(0.003), loss)
    model.fit(inputs, answers, epochs=epochs, batch_size=64, verbose=0)
    return time.perf_counter() - start


THEMES = {"light": ("#26323f", "Blues"), "dark": ("#d6dbe0", "Blues_r")}
"""For a light and a dark page: the colour of the text, and the colour map of the scores."""


def pictures(folder, name, model, inputs, layer, images, digits):
    """Write the map of one sample for light and dark pages, with images beside the labels."""
    written = ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color")
    for theme, (text, cmap) in THEMES.items():
        with rc_context(dict.fromkeys(written, text) | {"svg.hashsalt": name}):
            figure = draw_attention(model, inputs, layer, labels=digits, cmap=cmap)
            *panels, _ = figure.axes
            for panel in panels:
                add_images(panel, images, text, "x")
            if len(panels[0].get_yticks()) > 1:
                add_images(panels[0], images, text, "y")
            path = folder / f"{name}-{theme}.svg"
            figure.savefig(path, transparent=True, metadata={"Date": None, "Creator": None})


def add_images(panel, images, colour, axis):
    """Draw the image of each step between an axis and its labels."""
    ink = LinearSegmentedColormap.from_list("ink", [to_rgba(colour, 0), to_rgba(colour, 1)])
    panel.tick_params(axis=axis, pad=21)
    across = axis == "x"
    coordinates = panel.get_xaxis_transform() if across else panel.get_yaxis_transform()
    for step, image in enumerate(images):
        picture = OffsetImage(image.reshape(8, 8), zoom=2, cmap=ink)
        place, aside = ((step, 0), (0, -12)) if across else ((0, step), (-12, 0))
        panel.add_artist(
            AnnotationBbox(
                picture, place, aside, coordinates, boxcoords="offset points", frameon=False
            )
        )


def write(folder, numbers, count=6000, epochs=10):
    """Train both models, and write the pictures into a folder and the numbers into a file."""
    keras.utils.set_random_seed(SEED)
    generator = np.random.default_rng(SEED)
    images, held_images, digits, held_digits = load_digits()
    folder.mkdir(parents=True, exist_ok=True)
    results = {"backend": keras.backend.backend(), "keras": keras.__version__, "seed": SEED}
    results |= {"count": count, "epochs": epochs, "held_out": HELD_OUT}

    model = model_of_cards()
    inputs, answers, _ = rows_of_cards(images, digits, count, generator)
    seconds = trained(model, "mse", inputs, answers, epochs)
    inputs, answers, shown = rows_of_cards(held_images, held_digits, HELD_OUT, generator)
    (scores,) = attention_scores(model, inputs, "attend").values()
    same = shown[:, :, None] == shown[:, None, :]
    shares = np.sum(scores * same[:, None], axis=-1)
    error = np.mean(np.square(model.predict(inputs, verbose=0) - answers))
    results["cards"] = {
        "seconds": seconds,
        "error": float(error),
        "error_of_zero": float(np.mean(np.square(answers))),
        "share_on_the_same_digit": shares.mean(axis=(0, 2)).tolist(),
        "share_if_uniform": float(same.mean()),
    }
    row = inputs[:1]
    pictures(folder, "cards", model, row, "attend", row[0, :, :64], shown[0])

    model = model_of_bags()
    inputs, answers, _ = bags(images, digits, count, generator)
    seconds = trained(model, "binary_crossentropy", inputs, answers, epochs)
    inputs, answers, shown = bags(held_images, held_digits, HELD_OUT, generator)
    (scores,) = attention_scores(model, inputs, "pool").values()
    right = (model.predict(inputs, verbose=0) > 0.5) == answers
    heaviest = np.take_along_axis(shown, scores.argmax(axis=-1)[:, None], axis=-1)
    with_nines = answers[:, 0] == 1
    results["bags"] = {
        "seconds": seconds,
        "right": int(right.sum()),
        "with_nines": int(with_nines.sum()),
        "heaviest_is_a_nine": int(np.sum(heaviest[with_nines] == 9)),
        "weight_on_nines": float(np.sum(scores * (shown == 9), axis=-1)[with_nines].mean()),
        "share_of_nines": float((shown == 9)[with_nines].mean()),
    }
    pictures(folder, "bags", model, inputs[:1], "pool", inputs[0], shown[0])
    numbers.write_text(json.dumps(results, indent=1) + "\n")
    return results


if __name__ == "__main__":
    root = Path(__file__).parents[2]
    places = [root / "docs/assets/attention_maps", root / "measured/guide/attention_maps.json"]
    if sys.argv[1:]:
        folder = Path(sys.argv[1])
        places = [folder, folder / "attention_maps.json"]
    print(json.dumps(write(*places), indent=1))
