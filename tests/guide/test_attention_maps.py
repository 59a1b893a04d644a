"""The page on attention maps says what its program wrote, and the program still writes it."""

import importlib.util
import json
import re
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="the extra `demo` is not installed")
pytest.importorskip("matplotlib", reason="the extra `demo` is not installed")

DOCS = Path(__file__).parents[2] / "docs"
ASSETS = DOCS / "assets" / "attention_maps"
NUMBERS = DOCS.parent / "measured" / "guide" / "attention_maps.json"
PICTURES = [f"{name}-{theme}.svg" for name in ("cards", "bags") for theme in ("light", "dark")]


@pytest.fixture(scope="module")
def program():
    specification = importlib.util.spec_from_file_location(
        "attention_maps_program", DOCS / "guide" / "attention_maps.py"
    )
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def page():
    return " ".join((DOCS / "guide" / "attention_maps.md").read_text(encoding="utf-8").split())


def test_the_page_says_what_was_measured(page):
    results = json.loads(NUMBERS.read_text())
    cards, bags = results["cards"], results["bags"]
    first, second = cards["share_on_the_same_digit"]
    passes, count, held_out = results["epochs"], results["count"], results["held_out"]
    for said in (
        f"{passes} passes over {count:,} rows in {cards['seconds']:.0f} seconds. The squared error on "
        f"{held_out} rows of held-out digits is then {cards['error']:.3f}; always answering zero gives "
        f"{cards['error_of_zero']:.3f}.",
        f"Over all {held_out} rows, head 1 puts {first:.1%} of its attention on cards with the same digit "
        f"as the query. Uniform attention would put {cards['share_if_uniform']:.1%} there.",
        f"Head 2 puts {second:.1%} there",
        f"After {passes} passes over {count:,} bags, which take {bags['seconds']:.0f} seconds, the model "
        f"is right about {bags['right']} of {held_out} bags",
        f"In {bags['heaviest_is_a_nine']} of the {bags['with_nines']} bags with nines",
        f"Nines are {bags['share_of_nines']:.1%} of the images in these bags, and get "
        f"{bags['weight_on_nines']:.1%} of the weight",
    ):
        assert said in page


def test_the_page_shows_every_picture_in_its_theme(page):
    shown = re.findall(
        r"!\[[^]]{100,}?\]\(../assets/attention_maps/([a-z-]+\.svg)#only-(\w+)\)", page
    )
    assert [name for name, _ in shown] == PICTURES
    assert all(name.endswith(f"-{theme}.svg") for name, theme in shown)
    assert all((ASSETS / name).is_file() for name in PICTURES)


@pytest.mark.proof
def test_the_program_learns_and_writes_it_all(program, tmp_path):
    results = program.write(tmp_path, tmp_path / "numbers.json", count=2400, epochs=6)
    assert {path.name for path in tmp_path.iterdir()} == {"numbers.json", *PICTURES}
    assert json.loads((tmp_path / "numbers.json").read_text()) == results
    for name in PICTURES:
        assert (tmp_path / name).read_text().count("<image ") > 12
    committed = json.loads(NUMBERS.read_text())
    for part in ("cards", "bags"):
        assert results[part].keys() == committed[part].keys()
    assert results["cards"]["error"] < results["cards"]["error_of_zero"] / 2
    assert (
        max(results["cards"]["share_on_the_same_digit"]) > 2 * results["cards"]["share_if_uniform"]
    )
    assert results["bags"]["weight_on_nines"] > 3 * results["bags"]["share_of_nines"]


def test_a_card_has_the_mean_of_the_cards_with_its_digit(program):
    images, held_out, digits, held_digits = program.load_digits()
    assert len(images) + len(held_out) == len(digits) + len(held_digits) == 1797
    inputs, answers, shown = program.rows_of_cards(images, digits, 3, np.random.default_rng(0))
    pixels, borne = inputs[..., :64], inputs[..., 64]
    assert set(borne.flatten()) == {-1, 1}
    by_pixels = {image.tobytes(): digit for image, digit in zip(images, digits, strict=True)}
    for row in range(3):
        for card in range(program.STEPS):
            assert by_pixels[pixels[row, card].tobytes()] == shown[row, card]
            alike = [
                borne[row, other]
                for other in range(program.STEPS)
                if shown[row, other] == shown[row, card]
            ]
            assert answers[row, card, 0] == pytest.approx(sum(alike) / len(alike))


def test_a_bag_is_told_by_its_nines_alone(program):
    images, _, digits, _ = program.load_digits()
    bags, answers, shown = program.bags(images, digits, 40, np.random.default_rng(0))
    assert bags.shape == (40, program.STEPS, 64)
    np.testing.assert_array_equal(answers[:, 0], (shown == 9).any(axis=-1))
    assert answers.sum() == 20
