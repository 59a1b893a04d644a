"""What an earlier version saved, this version loads to the same numbers.

`tests/golden/<Layer>/` has a model's `model.keras`, its `model.weights.h5`, and `numbers.npz` with inputs and
outputs. They are written once, when the layer is added: `python tests/test_golden.py NAME` does it, and
refuses to overwrite. A test that fails here says that files of users would load to other numbers. If that
is wanted, convert old files when they are loaded, and keep these.
"""

import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from arrays import close, random
from keras import ops
from recipes import CARDS, each_card, last, shapes

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture(scope="module")
def loaded():
    """The model of a card's layer as its file has it, its inputs, and what came out when it was saved."""

    def loaded(card):
        folder = GOLDEN / card.name
        assert folder.is_dir(), (
            f"run `python tests/test_golden.py {card.name}` and commit its files"
        )
        numbers = dict(np.load(folder / "numbers.npz"))
        expected = [numbers.pop(name) for name in sorted(numbers) if name.startswith("output_")]
        return keras.saving.load_model(folder / "model.keras"), numbers, expected

    return loaded


def equal(model, inputs, expected):
    found = keras.tree.flatten(model(inputs))
    assert len(found) == len(expected)
    for y, due in zip(found, expected, strict=True):
        close(y, due)


@each_card
def test_a_saved_model_gives_the_same_numbers(card, loaded):
    equal(*loaded(card))


@each_card
def test_saved_weights_give_the_same_numbers(card, loaded):
    model, inputs, expected = loaded(card)
    fresh = keras.models.clone_model(model)
    fresh.load_weights(GOLDEN / card.name / "model.weights.h5")
    equal(fresh, inputs, expected)


def write(card):
    """Save a model of the layer, every argument moved off its default where the card can do that."""
    folder = GOLDEN / card.name
    folder.mkdir(parents=True)
    config = card.configs(last)
    found = shapes(card, config, card.dims(last, config))
    inputs = {name: keras.Input(shape[1:], name=name) for name, shape in found.items()}
    model = keras.Model(inputs, card.layer(**config)(**inputs))
    rng = np.random.default_rng(0)
    for weight in model.weights:
        if "float" in weight.dtype:
            weight.assign(weight + 0.3 * rng.normal(size=weight.shape))
    arrays = {name: random(*shape, seed=[1, i]) for i, (name, shape) in enumerate(found.items())}
    outputs = enumerate(keras.tree.flatten(model(arrays)))
    outputs = {f"output_{i}": ops.convert_to_numpy(y) for i, y in outputs}
    model.save(folder / "model.keras")
    model.save_weights(folder / "model.weights.h5")
    np.savez(folder / "numbers.npz", **arrays, **outputs)


if __name__ == "__main__":
    for each in CARDS:
        if each.name in sys.argv[1:]:
            write(each)
