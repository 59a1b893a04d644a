"""Deep stacks are declared, measured, judged and shown as they are; no test trains 64 blocks."""

import importlib.util
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
from layerzoo import measured
from layerzoo.card import Card
from layerzoo.catalogue import catalogue
from layerzoo.cookbook import beside, pages
from layerzoo.cookbook.depth import (
    WIDTH,
    Depth,
    all_depths,
    curves,
    declared,
    demanded,
    measure,
    plot,
    running,
)
from layerzoo.cookbook.pages import layer as layer_page
from layerzoo.cookbook.pages.depth import depth_page
from layerzoo_entry.cli import main

MEASURED = Path(__file__).parents[2] / "measured"
DECLARED = dict(all_depths())
STACKED = (
    *("Residual", "ReZero", "LayerScale", "DropPath", "HyperConnections"),
    *("TransformerEncoderBlock", "TransformerDecoderBlock", "TemporalBlock", "WaveNetBlock"),
    *("ResNetBlock", "BottleneckBlock", "InvertedResidual", "ConvNeXtBlock"),
)
needs_digits = pytest.mark.skipif(
    importlib.util.find_spec("sklearn") is None, reason="the extra `demo` is not installed"
)
SVG = "{http://www.w3.org/2000/svg}"


class Times(keras.layers.Layer):
    """Multiplies by a number."""

    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def call(self, inputs):
        return inputs * self.factor


def toy(**changes):
    """Stacks that take no time."""
    stacks = {"twice": lambda place, blocks: Times(2.0)}
    return Depth(**{"says": "It grows.", "source": "arXiv:1512.03385", "stacks": stacks, **changes})


def found_of(gradients, claims=None, inputs="features", losses=(2.5, 1.5)):
    """What `measure` would return, with these gradients by the names of stacks, at start and end alike."""
    return {
        "says": "It grows.",
        "source": "arXiv:1512.03385, figure 1",
        "task": "Digits.",
        "limits": "It is a toy.",
        "inputs": inputs,
        "blocks": len(next(iter(gradients.values()))),
        "steps": len(losses),
        "claims": claims or {},
        "rows": [
            {
                "stack": stack,
                "policy": policy,
                "finite": None not in (*gradient, *losses),
                "gradient": {"start": list(gradient), "end": list(gradient)},
                "loss": list(losses),
            }
            for stack, gradient in gradients.items()
            for policy in running.POLICIES
        ],
        **running.about("layerzoo depth DropPath", 0.0),
    }


@pytest.fixture
def given(monkeypatch):
    """Gives `DropPath` deep stacks, and no other layer."""

    def give(depth):
        name = beside.module_of(catalogue()["DropPath"], "depth")
        package, module = types.ModuleType(name.rpartition(".")[0]), types.ModuleType(name)
        module.DEPTH = depth
        module.__spec__ = package.__spec__ = types.SimpleNamespace()
        monkeypatch.setitem(sys.modules, package.__name__, package)
        monkeypatch.setitem(sys.modules, name, module)
        monkeypatch.setattr(declared, "catalogue", lambda: {"DropPath": catalogue()["DropPath"]})
        return catalogue()["DropPath"]

    return give


# What is declared.


def test_what_people_stack_has_deep_stacks():
    assert {name: each for name, each in DECLARED.items() if isinstance(each, str)} == {}
    assert set(STACKED) <= set(DECLARED)


def test_every_file_with_deep_stacks_is_found():
    house = Path(layerzoo.__file__).parent
    modules = {
        f"layerzoo.{path.parent.parent.name}.depth.{path.stem}"
        for path in house.glob("*/depth/[!_]*.py")
        if path.parent.parent.name != "cookbook"
    }
    found = {beside.module_of(catalogue()[name], "depth") for name in DECLARED}
    assert modules == {name for name in found if name.startswith("layerzoo.")}


@pytest.mark.parametrize("name", DECLARED)
def test_a_declaration_says_what_a_page_needs_and_makes_blocks_of_the_layer(name):
    depth = DECLARED[name]
    assert re.search(r"arXiv:\d{4}\.\d{4,5}|https://", depth.source)
    for text in (depth.says, *filter(None, [depth.limits])):
        assert text.isprintable()
        assert text.endswith(".")
    for block in depth.stacks.values():
        first, last = block(0, 2), block(1, 2)
        assert first is not last
        inside = {type(layer).__name__ for layer in first._flatten_layers()}
        assert name in {*inside, "DropPath"}


@pytest.mark.parametrize("name", measured.names(MEASURED, "depth"))
def test_a_measurement_is_of_what_is_declared(name):
    depth, found = DECLARED[name], measured.read(MEASURED, "depth", name)
    for word in ("says", "source", "limits", "claims", "inputs"):
        assert found[word] == getattr(depth, word), word
    assert (found["blocks"], found["steps"]) == (64, 20)
    rows = [(row["stack"], row["policy"]) for row in found["rows"]]
    assert rows == [(stack, policy) for stack in depth.stacks for policy in running.POLICIES]
    for row in found["rows"]:
        norms = [*row["gradient"]["start"], *row["gradient"]["end"]]
        assert (len(norms), len(row["loss"])) == (128, 20)
        assert row["finite"] == (None not in (*norms, *row["loss"]))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (dict(says=""), "`says` must be a text. Received: says=''"),
        (dict(source=3), "`source` must be a text. Received: source=3"),
        (dict(inputs="text"), "Received: inputs='text'"),
        (dict(stacks={}), "a function that makes a block, for each stack. Received: stacks={}"),
        (dict(stacks={"twice": 2}), "Received: stacks={'twice': 2}"),
        (dict(claims={"twice": "grows"}), "does not vanish'. Received: 'twice': 'grows'"),
        (dict(claims={"once": "shrinks"}), "for names of stacks, one of 'keeps its size'"),
    ],
)
def test_a_wrong_declaration_is_refused(changes, said):
    with pytest.raises(ValueError, match=re.escape(said)):
        toy(**changes)


def test_a_layer_without_deep_stacks_is_refused(given):
    given(toy())
    plugged = Card(layer=type("Plugged", (keras.layers.Layer,), {}), inputs="b d")
    with pytest.raises(ValueError, match=r"have deep stacks: DropPath\. Received: 'Plugged'"):
        demanded(plugged)


# What is measured.


@pytest.mark.parametrize("inputs", declared.INPUTS)
def test_the_gradient_is_that_of_the_output_of_each_block(inputs):
    model = running.stack_of(lambda place, blocks: Times(2.0 ** (place + 1)), inputs, 4)
    images = np.random.default_rng(0).random((running.BATCH, 8, 8, 1), "float32")
    labels = np.arange(running.BATCH) % 10
    norms = np.array(running.gradient_norms(model, images, labels))
    # the gradient that arrives at a block is the one at the next block, times that block's factor
    np.testing.assert_allclose(norms[:-1] / norms[1:], [4, 8, 16], rtol=1e-5)


def test_looking_at_the_gradient_changes_no_weight():
    norm = lambda place, blocks: keras.layers.BatchNormalization()  # noqa: E731
    model = running.stack_of(norm, "features", 2)
    before = [keras.ops.convert_to_numpy(weight) for weight in model.weights]
    images = np.random.default_rng(0).random((running.BATCH, 8, 8, 1), "float32")
    norms = running.gradient_norms(model, images, np.arange(running.BATCH) % 10)
    assert min(norms) > 0
    for weight, old in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(weight), old)


@needs_digits
@pytest.mark.proof
def test_a_stack_is_measured_in_both_policies_and_the_policy_stays():
    told, policies = [], []

    def block(place, blocks):
        layer = keras.layers.Dense(WIDTH, "relu")
        policies.append((place, blocks, layer.compute_dtype))
        return layerzoo.Residual(layer, norm="pre")

    before = keras.config.dtype_policy()
    claims = {"pre": "keeps its size"}
    found = measure("DropPath", toy(stacks={"pre": block}, claims=claims), 3, 12, told.append)
    assert keras.config.dtype_policy() == before
    assert policies == [(i, 3, kind) for kind in ("float32", "bfloat16") for i in range(3)]
    assert [row["policy"] for row in found["rows"]] == list(running.POLICIES)
    single, half = found["rows"]
    assert single["finite"]
    assert half["finite"]
    assert np.allclose(single["gradient"]["start"], half["gradient"]["start"], rtol=0.1)
    assert single["gradient"]["start"] != half["gradient"]["start"]
    assert single["gradient"]["start"] != single["gradient"]["end"]
    assert len(single["loss"]) == 12
    assert single["loss"][-1] < single["loss"][0], "it learns"
    assert running.against(found, "pre") == []
    assert found["command"] == "layerzoo depth DropPath --blocks 3 --steps 12"
    assert "3 blocks" in found["task"]
    assert told[-1] == "DropPath, pre, mixed_bfloat16: step 12 of 12"


@needs_digits
@pytest.mark.proof
def test_what_is_not_finite_is_told_and_is_valid_json():
    stacks = {"broken": lambda place, blocks: Times(math.inf)}
    found = measure("DropPath", toy(stacks=stacks, claims={"broken": "does not vanish"}), 2, 1)
    again = json.loads(json.dumps(found, allow_nan=False))
    for row in again["rows"]:
        assert not row["finite"]
        assert None in row["loss"]
        assert running.ratio(row, "end") is None
    assert running.against(again, "broken") == ["at the start", "after the training"]


@pytest.mark.parametrize(
    ("claim", "first", "right"),
    [
        ("keeps its size", 1.0, True),
        ("keeps its size", 11.0, False),
        ("keeps its size", 0.09, False),
        ("shrinks", 0.0, True),
        ("shrinks", 1e-9, True),
        ("shrinks", 0.2, False),
        ("does not vanish", 1e9, True),
        ("does not vanish", 0.09, False),
        ("does not vanish", None, False),
        (None, 1.0, None),
    ],
)
def test_a_claim_is_judged_by_the_quotient(claim, first, right):
    found = found_of({"a": (first, 0.5, 1.0)}, {"a": claim} if claim else {})
    wrong = ["at the start", "after the training"]
    assert running.against(found, "a") == {True: [], False: wrong, None: None}[right]


def test_nothing_is_divided_by_zero():
    found = found_of({"a": (1.0, 0.0)}, {"a": "does not vanish"})
    assert running.ratio(found["rows"][0], "start") is None
    assert len(running.against(found, "a")) == 2


def test_a_verdict_says_when_and_in_which_precision_a_claim_is_wrong():
    found = found_of({"a": [1.0, 1.0]}, {"a": "keeps its size"})
    assert running.verdict(found, "a") == "keeps its size: so it is"
    found["rows"][1]["gradient"]["start"] = [100.0, 1.0]
    told = "keeps its size: not at the start in mixed_bfloat16"
    assert running.verdict(found, "a") == told
    for row in found["rows"]:
        row["gradient"]["end"] = [1e-3, 1.0]
    assert running.verdict(found, "a") == f"{told}, nor after the training"
    assert running.verdict(found_of({"a": [1.0, 1.0]}), "a") == ""


@pytest.mark.parametrize("sizes", [dict(blocks=0), dict(steps=0), dict(blocks=2.5)])
def test_sizes_are_positive(sizes):
    (name,) = sizes
    with pytest.raises(ValueError, match=f"`{name}` must be a positive integer. Received: "):
        measure("DropPath", toy(), **sizes)


# The command.


@needs_digits
@pytest.mark.proof
def test_the_command_measures_prints_and_writes(given, tmp_path, capsys):
    given(toy(claims={"twice": "does not vanish"}))
    out, folder = tmp_path / "out", tmp_path / "measured"
    command = ["depth", "DropPath", "--blocks", "2", "--steps", "1"]
    command += ["--out", str(out), "--measured", str(folder)]
    assert main(command) == 0
    said = capsys.readouterr().out
    assert "It grows." in said
    assert "2.000" in said
    assert {path.name for path in out.iterdir()} == {"DropPath.json", "DropPath.svg"}
    found = measured.read(folder, "depth", "DropPath")
    assert found == json.loads((out / "DropPath.json").read_text("utf-8"))
    assert [running.ratio(row, "start") for row in found["rows"]] == pytest.approx([2, 2], 1e-3)
    assert "prefers-color-scheme" in (out / "DropPath.svg").read_text("utf-8")
    assert main(command) == 0  # what it wrote itself, it overwrites


@needs_digits
@pytest.mark.proof
def test_a_broken_plug_in_keeps_no_other_from_being_measured(monkeypatch, tmp_path, capsys):
    def raises(place, blocks):
        raise SystemExit("no licence")

    shape = lambda place, blocks: keras.layers.Reshape((2, 16))  # noqa: E731
    depths = [
        ("Unloadable", "cannot be loaded: OSError: no disk"),
        ("Raising", toy(stacks={"a": raises})),
        ("Misshapen", toy(stacks={"a": shape})),
        ("Endless", toy(stacks={"a": lambda place, blocks: Times(math.nan)})),
        ("Sound", toy()),
    ]
    monkeypatch.setattr("layerzoo.cookbook.depth.files.all_depths", lambda: iter(depths))
    command = ["depth", "--blocks", "2", "--steps", "1", "--measured", str(tmp_path)]
    assert main(command) == 1
    said = capsys.readouterr().out
    assert "\nUnloadable cannot be loaded: OSError: no disk\n" in said
    assert "\nRaising cannot be measured: SystemExit: no licence\n" in said
    assert "\nMisshapen cannot be measured: " in said
    assert "\nEndless, a, float32: a gradient, a loss or a weight is not finite\n" in said
    assert measured.names(tmp_path, "depth") == ["Endless", "Sound"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--blocks", "0"], "`blocks` must be a positive integer. Received: blocks=0"),
        (["--steps", "0"], "`steps` must be a positive integer. Received: steps=0"),
    ],
)
def test_misuse_is_told_in_one_line(given, arguments, said, tmp_path, capsys):
    given(toy())
    assert main(["depth", "DropPath", *arguments, "--out", str(tmp_path)]) == 2
    assert capsys.readouterr().err == f"layerzoo: error: {said}\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("option", ["--out", "--measured"])
def test_a_file_of_the_user_is_left_alone(given, option, tmp_path, capsys):
    made = []
    given(toy(stacks={"a": lambda place, blocks: made.append(place)}))
    file = tmp_path / ("DropPath.svg" if option == "--out" else "depth/DropPath.json")
    file.parent.mkdir(exist_ok=True)
    file.write_text("mine")
    assert main(["depth", "DropPath", option, str(tmp_path)]) == 2
    assert f"Received: {file}, not written by it" in capsys.readouterr().err
    assert file.read_text() == "mine"
    assert made == []


def test_without_scikit_learn_the_extra_is_named(given, monkeypatch, capsys):
    given(toy())
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(declared.beside, "declared", lambda *given: toy())
    assert main(["depth", "DropPath"]) == 2
    assert "needs the extra `demo`: " in capsys.readouterr().err


# What is shown.

GRADIENTS = {
    "kept": [1.0, 1.0, 1.0, 1.0],
    "lost": [1e-9, 1e-6, 1e-3, 1.0],
    "dead": [0.0, 0.0, 1.0, 2.0],
    "broken": [None, None, None, 1.0],
}


def test_a_plot_shows_every_stack_from_the_last_block_to_the_first():
    found = {"DropPath": found_of(GRADIENTS)}
    lines = curves(found, "start")
    assert lines["lost"] == [1, 1e-3, 1e-6, 1e-9]
    assert lines["dead"] == [1, 0.5, None, None]
    drawing = plot("DropPath", found)
    root = ElementTree.fromstring(drawing)
    texts = [each for each in root.iter(f"{SVG}text") if each.text in GRADIENTS]
    assert [each.text for each in texts] == 2 * ["broken", "kept", "dead", "lost"]
    heights = [float(each.get("y")) for each in texts]
    assert min(np.diff(heights)) >= 15, "labels cover one another, or the other plot"
    ways = [each.get("d") for each in root.iter(f"{SVG}path") if each.get("class") == "ev-line"]
    numbers = [
        np.array(re.findall(r"[\d.]+", way), float).reshape(-1, 2) for way in ways if "L" in way
    ]
    start, end = (each for each in numbers if len(np.unique(each[:, 1])) == 4)
    np.testing.assert_allclose(np.diff(start, axis=0), np.diff(end, axis=0), atol=1e-6)
    assert (np.diff(start, axis=0) > 0).all(), "to the right, and down on the page"
    assert "nan" not in drawing
    assert "None" not in drawing
    assert "lost 1.00e-09" in root.find(f"{SVG}desc").text
    width, height = (float(root.get(side)) for side in ("width", "height"))
    for each in root.iter(f"{SVG}text"):
        assert -8 <= float(each.get("x")) <= width
        assert -8 <= float(each.get("y")) <= height


def test_only_what_keeps_its_size_has_the_accent_colour():
    drawing = plot("DropPath", {"DropPath": found_of(GRADIENTS)})
    own = re.findall(r'<g class="ev-own">.*?</g>', drawing, re.DOTALL)
    named = [re.findall(r">(\w+)</text>", each) for each in own if "</text>" in each]
    assert named == 2 * [["kept"]]


def test_nothing_finite_is_not_drawn():
    assert plot("DropPath", {"DropPath": found_of({"a": [None, None]})}) == ""


def test_several_layers_are_told_apart():
    found = {"DropPath": found_of({"a": [1.0, 1.0]}), "ReZero": found_of({"ReZero": [1.0, 1.0]})}
    assert list(curves(found, "end")) == ["DropPath, a", "ReZero"]


def test_pages_show_what_was_measured(tmp_path):
    docs, folder = tmp_path / "docs", tmp_path / "measured"
    claims = {"kept": "keeps its size", "lost": "does not vanish"}
    measured.write(folder, "depth", "DropPath", found_of(GRADIENTS, claims))
    measured.write(folder, "depth", "GatedMLP", found_of({"a": [1.0] * 4}, inputs="image"))
    with pytest.MonkeyPatch.context() as patch:
        few = {name: layerzoo.catalogue()[name] for name in ("DropPath", "GatedMLP", "ReZero")}
        patch.setattr(pages, "catalogue", lambda: few)
        patch.setattr(pages.lists, "pages", lambda cards: {})
        found = {
            path.relative_to(docs).as_posix(): text for path, text in pages.render(docs).items()
        }
    assert "blocks deep" not in found["layers/residual/re_zero.md"]
    assert "layers/residual/re_zero.depth.svg" not in found
    page = found["layers/residual/drop_path.md"]
    headings = re.findall(r"^## (.*?)(?: \{.*\})?$", page, re.MULTILINE)
    place = headings.index("4 blocks deep")
    assert headings[place - 1] == "Shapes, masks, precision"
    assert headings[place + 1] == "Properties verified"
    section = page.split("## 4 blocks deep")[1].split("## Properties")[0]
    assert "[arXiv:1512.03385](https://arxiv.org/abs/1512.03385), figure 1" in section
    assert '--8<-- "docs/layers/residual/drop_path.depth.svg"' in section
    assert "*does not vanish*: 0.1 or more." in section
    assert "*shrinks*" not in section, "no paper says so here"
    losses = "2.500 → 1.500, 2.500 → 1.500"
    kept = "1.000, 1.000 | 1.000, 1.000 | keeps its size: so it is"
    assert f"| kept | {kept} | {losses} | yes |" in section
    wrong = "does not vanish: **not** at the start, nor after the training"
    small = "1.00e-09, 1.00e-09"
    assert f"| lost | {small} | {small} | {wrong} | {losses} | yes |" in section
    gone = "not finite, not finite"
    assert f"| broken | {gone} | {gone} |  | {losses} | **no** |" in section
    command = f"KERAS_BACKEND={keras.backend.backend()} layerzoo depth DropPath"
    assert f"```bash\n{command}\n```" in section
    assert "**Limits.** It is a toy." in section
    guide = found["guide/depth.md"]
    assert guide.startswith("# 4 blocks deep\n")
    assert re.findall("^## (.*)$", guide, re.MULTILINE) == ["Vectors", "Images"]
    assert "5 stacks were trained in each precision" in guide
    assert "Not finite: DropPath (broken, float32); DropPath (broken, mixed_bfloat16)." in guide
    assert "something of the gradient in 2 of them. In 1, it is so in both precisions" in guide
    assert "\n\n- DropPath (lost): not at the start, nor after the training.\n\n" in guide
    assert "| [DropPath](../layers/residual/drop_path.md) | kept |" in guide
    assert '--8<-- "docs/assets/depth_image.svg"' in guide
    for name in ("assets/depth_features.svg", "assets/depth_image.svg"):
        ElementTree.fromstring(found[name])
    ElementTree.fromstring(found["layers/residual/drop_path.depth.svg"])


def test_a_page_says_which_gradients_explode():
    found = {"DropPath": found_of({"a": [1.0, 1.0], "b": [2e3, 1.0]}, {"b": "does not vanish"})}
    page = depth_page(found, {"DropPath": "../x.md"})
    assert "more than 1,000 times that at the last in DropPath (b)." in page
    assert "not as the paper says" not in page


def test_a_plug_in_has_plot_and_section_in_plain_markdown(tmp_path):
    plugged = type("Plugged", (keras.layers.Layer,), {"__module__": "somebody.plugged"})
    card = Card(layer=plugged, inputs="b d")
    measured.write(tmp_path, "depth", "Plugged", found_of({"a": [1.0, 1.0]}))
    assert "prefers-color-scheme" in pages.depth_plot(card, tmp_path)
    section = layer_page._depth(card, measured.read(tmp_path, "depth", "Plugged"))
    assert "\n\n![The gradient at each block](plugged.depth.svg)\n\n" in section
