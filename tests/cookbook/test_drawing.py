"""Drawings show what `call` does, and can be read: nothing is clipped, and no arrow hides a box."""

import inspect
import re
from itertools import combinations
from xml.etree import ElementTree

import keras
import numpy as np
import pytest

import layerzoo
from layerzoo import DropPath, GatedMLP, Residual, RotaryEmbedding, SelfAttention
from layerzoo.cookbook.drawing import HEADS, draw, snake_case
from layerzoo.cookbook.pages import layer

SHAPE = {"inputs": {"b": 13, "t": 17, "d": 64}}
LAYERS = {
    "SelfAttention": lambda: SelfAttention(4, 2, causal=True, position=RotaryEmbedding()),
    "SelfAttention-qk_norm": lambda: SelfAttention(4, qk_norm=True, dropout=0.1),
    "RotaryEmbedding": lambda: RotaryEmbedding(),
    "GatedMLP": lambda: GatedMLP(128, dropout=0.1),
    "DropPath": lambda: DropPath(0.5),
    "Residual": lambda: Residual(GatedMLP(8), norm="sandwich", scale=0.1, drop_path=0.2),
    "Residual-project": lambda: Residual(
        [keras.layers.Dense(8), keras.layers.Dense(20)], norm="post"
    ),
}


class Tangle(keras.layers.Layer):
    """Reads earlier results at random, so that arrows of every length and direction must be drawn."""

    def __init__(self, seed, size):
        super().__init__()
        self.seed, self.size = seed, size

    def call(self, inputs):
        rng = np.random.default_rng(self.seed)
        results = [inputs]
        for _ in range(self.size):
            a, b = (results[i] for i in rng.integers(0, len(results), 2))
            step = rng.integers(0, 3)
            results.append(keras.ops.tanh(a) if step == 0 else a + b if step == 1 else a * b)
        return keras.ops.concatenate(results)


def read(svg):
    """The rectangles `(left, top, right, bottom, lines)` and the points of each arrow."""
    root = ElementTree.fromstring(svg.replace(' xmlns="http://www.w3.org/2000/svg"', ""))
    boxes = []
    for group in root.iter("g"):
        x, y, width, height = (
            float(group.find("rect").get(k)) for k in ("x", "y", "width", "height")
        )
        boxes.append((x, y, x + width, y + height, [text.text for text in group.iter("text")]))
    arrows = [points(path.get("d")) for path in root.iter("path") if path.get("fill") is None]
    return root, boxes, arrows


def points(data):
    """Points along a path of M, V and C commands."""
    found = []
    for command, numbers in re.findall(r"([MVC])([-\d. ]+)", data):
        values = [float(number) for number in numbers.split()]
        if command == "M":
            found.append(tuple(values))
        elif command == "V":
            x, y = found[-1]
            found += [(x, y + (values[0] - y) * step / 20) for step in range(1, 21)]
        else:
            curve = np.array([found[-1], values[:2], values[2:4], values[4:]])
            for t in np.linspace(0, 1, 41)[1:]:
                weights = [(1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3]
                found.append(tuple(np.array(weights) @ curve))
    return found


def inside(point, box, slack=0.2):
    left, top, right, bottom, _ = box
    return left + slack < point[0] < right - slack and top + slack < point[1] < bottom - slack


def check_it_can_be_read(svg):
    root, boxes, arrows = read(svg)
    _, _, width, height = map(float, root.get("viewBox").split())
    for left, top, right, bottom, lines in boxes:
        assert left >= 0
        assert top >= 0
        assert right <= width
        assert bottom <= height
        # 0.602 em is the advance of the widest of the common monospace fonts, DejaVu Sans Mono
        assert max(map(len, lines)) * 12 * 0.602 < right - left - 8
    for one, other in combinations(boxes, 2):
        apart = one[2] < other[0] or other[2] < one[0] or one[3] < other[1] or other[3] < one[1]
        assert apart, (one, other)
    for arrow in arrows:
        for point in arrow:
            assert 0 <= point[0] <= width
            assert 0 <= point[1] <= height
            assert not [box for box in boxes if inside(point, box)]


@pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS)
def test_a_drawing_of_ours_can_be_read(make):
    check_it_can_be_read(draw(make(), SHAPE))


@pytest.mark.parametrize("seed", range(12))
def test_a_drawing_of_anything_can_be_read(seed):
    check_it_can_be_read(draw(Tangle(seed, 4 + seed), {"inputs": {"b": 13, "d": 64}}))


def titles(layer, shape=SHAPE):
    return [lines[0] for *_, lines in read(draw(layer, shape))[1]]


def test_attention_shows_its_parts():
    found = titles(LAYERS["SelfAttention"]())
    assert 6 <= len(found) <= 12
    assert found.count("RotaryEmbedding") == 2
    assert {"query_key_value", "add → softmax", "output"} <= set(found)
    assert sum(title in HEADS for title in found) == 2, "scores, and their mean of the values"


def test_the_gate_and_what_it_gates_meet_in_a_product():
    svg = draw(GatedMLP(128), SHAPE)
    assert "multiply (b, t, 128), from silu and up;" in svg
    assert "silu (b, t, 128), from gate;" in svg


def test_a_wrapper_shows_its_shortcut_and_its_variable():
    svg = draw(Residual(SelfAttention(4), norm="pre", scale=0.1), SHAPE)
    assert "norm_in LayerNormalization, from inputs;" in svg
    assert "SelfAttention (b, t, d), from norm_in;" in svg
    assert "multiply with gamma, from SelfAttention;" in svg
    assert "add (b, t, d), from inputs and multiply;" in svg


def test_a_layer_that_only_moves_values_is_drawn_all_the_same():
    assert titles(keras.layers.Permute((2, 1)))[1] == "transpose"


def test_sizes_are_written_as_letters():
    class Doubled(keras.layers.Layer):
        def call(self, inputs):
            return keras.ops.concatenate([inputs, inputs], axis=1)

    assert titles(Doubled())[-1] == "outputs (b, 2t, d)"
    assert "(b, t, 128)" in draw(GatedMLP(128), SHAPE)


def test_what_is_switched_off_is_not_drawn():
    assert "Dropout" not in titles(GatedMLP(8))
    assert "Dropout" in titles(GatedMLP(8, dropout=0.1))


def test_the_path_of_training_is_drawn_and_nothing_changes():
    layer = DropPath(0.5, seed=3)
    before = keras.ops.convert_to_numpy(layer.seed_generator.state)
    assert titles(layer)[1:3] == ["true_divide", "where"]
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(layer.seed_generator.state), before)


def test_several_inputs_and_outputs_are_drawn():
    class Two(keras.layers.Layer):
        def call(self, inputs, context=None):
            return inputs + context, inputs * context

    shapes = {"inputs": {"b": 13, "d": 64}, "context": {"b": 13, "d": 64}}
    found = titles(Two(), shapes)
    assert sorted(found) == [
        *["add", "context (b, d)", "inputs (b, d)", "multiply"],
        *["outputs (b, d)", "outputs (b, d)"],
    ]


@pytest.mark.parametrize("name", layerzoo.catalogue())
def test_the_picture_stands_alone(name):
    svg = layer.picture(layer.plain(layerzoo.catalogue()[name]))
    check_it_can_be_read(svg)
    root, _, _ = read(svg)
    assert root.find("title").text == f"What {name} computes"
    first = list(inspect.signature(layerzoo.catalogue()[name].layer.call).parameters)[1]
    assert f"from {first}" in root.find("desc").text
    assert 'id="' not in svg
    assert "href" not in svg
    assert "\n" not in svg
    assert {element.get("fill") for element in root.iter("text")} == {"currentColor"}


def test_drawing_twice_gives_the_same_picture():
    make = LAYERS["SelfAttention"]
    assert draw(make(), SHAPE) == draw(make(), SHAPE)


def test_snake_case_is_the_name_that_keras_gives():
    for kind in (keras.layers.GaussianNoise, keras.layers.ReLU, keras.layers.RMSNormalization):
        layer = kind(**({"stddev": 1.0} if kind is keras.layers.GaussianNoise else {}))
        assert re.sub(r"_\d+$", "", layer.name) == snake_case(kind.__name__)
    assert snake_case("GatedMLP") == "gated_mlp"
