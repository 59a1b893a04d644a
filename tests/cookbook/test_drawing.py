"""Pictures show what `call` does, and can be read: nothing is clipped, and no arrow hides a box."""

import inspect
import re
import types
from functools import reduce
from itertools import combinations
from pathlib import Path
from unittest.mock import patch
from xml.etree import ElementTree

import keras
import numpy as np
import pytest

import layerzoo
from layerzoo import DropPath, GatedMLP, Residual, RotaryEmbedding, SelfAttention
from layerzoo.cookbook.drawing import picture, snake_case, trace
from layerzoo.cookbook.drawing.composed import compose
from layerzoo.cookbook.drawing.operations import HEADS
from layerzoo.cookbook.pages.layer import SIZES, picture_file, plain

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
        if (rect := group.find("rect")) is None:
            continue
        x, y, width, height = (float(rect.get(k)) for k in ("x", "y", "width", "height"))
        lines = ["".join(text.itertext()) for text in group.iter("text")]
        boxes.append((x, y, x + width, y + height, lines))
    arrows = [points(path.get("d")) for path in root.findall("path") if path.get("fill") is None]
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


def monospace(text):
    """The width of a text at 12 pixels in the widest of the common monospace fonts, DejaVu Sans Mono."""
    return len(text) * 12 * 0.602


def sans(text):
    """The width of a text at 12 pixels in the widest of the common fonts without serifs, DejaVu Sans."""
    matplotlib = pytest.importorskip("matplotlib", reason="it brings the font")
    from matplotlib.ft2font import FT2Font

    font = FT2Font(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf")
    font.set_size(12, 72)
    font.set_text(text)
    return font.get_width_height()[0] / 64


def check_it_can_be_read(svg, measure=monospace, beside=8):
    root, boxes, arrows = read(svg)
    _, _, width, height = map(float, root.get("viewBox").split())
    for left, top, right, bottom, lines in boxes:
        assert left >= 0
        assert top >= 0
        assert right <= width
        assert bottom <= height
        assert max(map(measure, lines)) < right - left - beside, lines
    for one, other in combinations(boxes, 2):
        apart = one[2] < other[0] or other[2] < one[0] or one[3] < other[1] or other[3] < one[1]
        assert apart, (one, other)
    for arrow in arrows:
        for point in arrow:
            assert 0 <= point[0] <= width
            assert 0 <= point[1] <= height
            assert not [box for box in boxes if inside(point, box)]


@pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS)
def test_a_trace_of_ours_can_be_read(make):
    check_it_can_be_read(trace(make(), SHAPE))


@pytest.mark.parametrize("seed", range(12))
def test_a_trace_of_anything_can_be_read(seed):
    check_it_can_be_read(trace(Tangle(seed, 4 + seed), {"inputs": {"b": 13, "d": 64}}))


def titles(layer, shape=SHAPE):
    return [lines[0] for *_, lines in read(trace(layer, shape))[1]]


def test_attention_shows_its_parts():
    found = titles(LAYERS["SelfAttention"]())
    assert 6 <= len(found) <= 12
    assert found.count("RotaryEmbedding") == 2
    assert {"query_key_value", "add → softmax", "output"} <= set(found)
    assert sum(title in HEADS for title in found) == 2, "scores, and their mean of the values"


def test_the_gate_and_what_it_gates_meet_in_a_product():
    svg = trace(GatedMLP(128), SHAPE)
    assert "multiply (b, t, 128), from silu and up;" in svg
    assert "silu (b, t, 128), from gate;" in svg


def test_a_wrapper_shows_its_shortcut_and_its_variable():
    svg = trace(Residual(SelfAttention(4), norm="pre", scale=0.1), SHAPE)
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
    assert "(b, t, 128)" in trace(GatedMLP(128), SHAPE)


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


CARDS = layerzoo.catalogue()
every_layer = pytest.mark.parametrize("name", CARDS)


def shown(name):
    """The layer of a card, the sizes of its inputs, and the words of the card, as pages draw them."""
    layer = plain(CARDS[name])
    shapes = {
        path: {letter: SIZES.get(letter, layer.sizes[letter]) for letter in letters}
        for path, letters in layer.axes.items()
    }
    return layer.layer(), shapes, CARDS[name].boxes


@every_layer
@pytest.mark.parametrize("suffix", [".svg", ".trace.svg"])
def test_a_picture_stands_alone(name, suffix):
    svg = picture_file(CARDS[name], suffix)
    root, _, _ = read(svg)
    assert root.find("title").text == f"What {name} computes"
    first = list(inspect.signature(CARDS[name].layer.call).parameters)[1]
    assert re.search(rf"from ([^;]* and )?{first}\b", root.find("desc").text)
    assert 'id="' not in svg
    assert "href" not in svg
    assert "\n" not in svg[:-1]
    assert {element.get("fill") for element in root.iter("text")} == {"currentColor"}


@every_layer
def test_the_trace_of_each_layer_can_be_read(name):
    check_it_can_be_read(trace(*shown(name)[:2]))


@every_layer
def test_the_picture_of_each_layer_can_be_read_on_its_card(name):
    svg = picture(*shown(name))
    check_it_can_be_read(svg, sans, beside=4)
    _, _, width, height = map(float, ElementTree.fromstring(svg).get("viewBox").split())
    # what style.css leaves on the narrowest card, of 16rem, where one rem is 20 pixels
    scale = min(1, (320 - 2 - 2 * 16 - 2 * 10) / width, (360 - 2 * 10) / height)
    assert 12 * scale >= 10, "smaller text cannot be read"


@every_layer
def test_a_picture_has_a_dozen_boxes_at_most_and_none_for_a_move(name):
    _, boxes, _ = read(picture(*shown(name)))
    assert 3 <= len(boxes) <= 12
    words = " ".join(line for *_, lines in boxes for line in lines)
    assert not re.search(r"cast|\bpad|reshape|transpose|split|expand.dims|get.item|_", words)


@every_layer
def test_each_layer_inside_is_one_box_for_each_call(name):
    layer, shapes, words = shown(name)
    inputs = {path: keras.Input(batch_shape=tuple(s.values())) for path, s in shapes.items()}
    layer(**inputs)
    calls, depth = [], 0
    plain_call = keras.layers.Layer.__call__

    def counted(inner, *args, **kwargs):
        nonlocal depth
        calls.append(inner) if depth == 0 and getattr(inner, "rate", None) != 0 else None
        depth += 1
        try:
            return plain_call(inner, *args, **kwargs)
        finally:
            depth -= 1

    silent = patch.object(keras.layers.Layer, "add_loss", lambda layer, loss: None)
    with patch.object(keras.layers.Layer, "__call__", counted), silent:
        layer.call(**inputs)
    boxes = [box for box in compose(layer, shapes, words) if box.kind == "layer"]
    assert sum(box.times for box in boxes) == len(calls)
    for kind in {type(inner).__name__.replace("Normalization", "Norm") for inner in calls}:
        kind = kind.replace("EinsumDense", "Dense")
        assert any(kind in text for box in boxes for text, _ in box.pieces) or kind in words


FIGURES = {
    "AlibiBias": ["− slope × distance", "+"],
    "AttentionGate": ["inputs Dense", "gate Dense", "resize", "weight Dense", "sigmoid", "×"],
    "AttentionPooling": ["learned queries", "attention CrossAttention"],
    "AxialRotaryEmbedding": ["turn pairs by place"],
    "ConvolutionalBlockAttention": ["mean and maximum", "convolution Conv2D → sigmoid", "×"],
    "CrossAttention": ["query Dense", "key, value Dense", "attention", "output Dense"],
    "DifferentialAttention": ["attention", "first − λ second", "learned λ", "× 0.8"],
    "DropPath": ["random numbers", "÷ 0.5", "kept, or 0"],
    "EfficientChannelAttention": ["mean over positions", "convolution Conv1D", "sigmoid"],
    "GatedAttentionPooling": ["tanh", "sigmoid", "softmax", "weighted sum"],
    "GatedMLP": ["gate Dense", "SiLU", "up Dense", "×", "down Dense"],
    "LinearAttention": ["query, key, value Dense", "ELU + 1", "linear attention"],
    "MultiHeadLatentAttention": ["latent Dense", "key, value Dense", "rotary", "attention"],
    "PerceiverResampler": ["learned latents", "attention CrossAttention", "contraction Dense"],
    "RelativePositionBias": ["learned embeddings", "bias by distance", "+"],
    "Residual": ["LayerNorm", "SelfAttention", "+"],
    "RotaryEmbedding": ["turn pairs by position"],
    "SelfAttention": ["query, key, value Dense", "rotary", "attention", "output Dense"],
    "SqueezeExcite": ["mean over positions", "reduce Dense", "ReLU", "sigmoid", "scale channels"],
    "WindowAttention": ["cut into windows", "attention in each window", "bias by offset"],
}


@pytest.mark.parametrize("name", FIGURES)
def test_a_picture_shows_what_the_figure_of_the_paper_shows(name):
    assert set(FIGURES[name]) <= set(composed(*shown(name)))


def composed(layer, shapes=SHAPE, names=None):
    """What stands on the boxes of the composed picture, from the top."""
    return [lines[0] for *_, lines in sorted(read(picture(layer, shapes, names))[1], key=top)]


def top(box):
    return box[1], box[0]


class Holds(keras.layers.Layer):
    """A layer whose call is given."""

    def __init__(self, call, *held):
        super().__init__()
        self.held, self.given = list(held), call

    def build(self, input_shape):
        self.weight = self.add_weight(shape=input_shape[-1:], name="of_keras")
        self.fixed = self.add_weight(shape=input_shape[-1:], trainable=False)

    def call(self, inputs):
        return self.given(self, inputs)

    def helper(self, x):
        return keras.ops.tanh(x) * 2.0

    def _private(self, x):
        return keras.ops.exp(keras.ops.tanh(x))

    def table(self):
        return keras.ops.ones((64,))

    def runs_a_layer(self, x):
        return self.held[0](keras.ops.tanh(x))


ENDS = ["inputs (b, t, d)", "outputs (b, t, d)"]


def between(call, *held, names=None):
    found = composed(Holds(call, *held), SHAPE, names)
    assert [found[0], found[-1]] == ENDS
    return found[1:-1]


@pytest.mark.parametrize(
    ("module", "box"),
    [("mine.ops.waves", True), ("mine.ops", True), ("mine.waves", False), ("mine.props", False)],
)
def test_a_function_is_a_box_where_its_module_is_named_ops(module, box):
    code = """
from keras import ops

def up_and_down(x):
    return _up(x) - 1.0

def _up(x):
    return ops.exp(x) + 1.0

def out(x):
    return up_and_down(up_and_down(x))
"""
    exec(code, vars(space := types.ModuleType(module)))
    found = between(lambda layer, x: space.up_and_down(space.up_and_down(x)))
    assert found == (["up and down"] * 2 if box else ["exp", "+ 1", "− 1"] * 2)
    assert between(lambda layer, x: space.out(x)) == (["out"] if box else ["exp", "+ 1", "− 1"] * 2)
    assert between(lambda layer, x: space.out(x), names={"out": "wave"}) == ["wave"]
    assert between(lambda layer, x: space._up(x)) == ["exp", "+ 1"], "it is private"


def test_a_generator_is_no_box_for_others_run_in_between():
    code = """
from keras import ops

def waves(x):
    between = yield ops.exp(x)
    yield ops.sin(between)
"""
    exec(code, vars(space := types.ModuleType("mine.ops")))

    def call(layer, x):
        waves = space.waves(x)
        return waves.send(next(waves) + 1.0)

    assert between(call) == ["exp", "+ 1", "sin"]


def test_a_method_is_a_box_where_the_card_names_it():
    assert between(lambda layer, x: layer.helper(x)) == ["tanh", "× 2"]
    assert between(lambda layer, x: layer.helper(x), names={"helper": "bend"}) == ["bend"]
    assert between(lambda layer, x: layer._private(x), names={"_private": "bend"}) == ["bend"]


def test_what_reads_no_input_is_a_box_where_the_card_names_it():
    assert between(lambda layer, x: x + layer.table()) == ["+ constant"]
    found = composed(Holds(lambda layer, x: x + layer.table()), SHAPE, {"table": "table of ones"})
    assert sorted(found) == sorted([*ENDS, "+", "table of ones"])


def test_what_runs_a_layer_is_no_box_for_the_layer_is_one():
    norm = keras.layers.LayerNormalization(name="last")
    found = between(
        lambda layer, x: layer.runs_a_layer(x), norm, names={"runs_a_layer": "everything"}
    )
    assert found == ["tanh", "last LayerNorm"]


def test_a_card_names_layers_weights_and_operations():
    dense = keras.layers.Dense(64, name="map")
    names = {"map": "linear", "tanh": "squash", "weight": "gains"}
    found = composed(
        Holds(lambda layer, x: keras.ops.tanh(layer.held[0](x)) * layer.weight, dense), SHAPE, names
    )
    assert sorted(found) == sorted([*ENDS, "linear Dense", "squash", "×", "learned gains"])


def test_a_weight_that_is_not_trained_is_not_called_learned():
    found = composed(Holds(lambda layer, x: (x - layer.fixed) * layer.weight), SHAPE)
    assert sorted(found) == sorted([*ENDS, "fixed", "−", "learned weight", "×"])


def test_moves_are_arrows():
    def call(layer, x):
        first, second = keras.ops.split(keras.ops.transpose(x, (0, 2, 1)), 2, axis=1)
        first = keras.ops.pad(keras.ops.exp(first), ((0, 0), (1, 1), (0, 0)))[:, 1:-1]
        both = keras.ops.cast(keras.ops.stack([first, second], 1), "float32")
        return keras.ops.sin(keras.ops.reshape(both, (13, 17, 64)))

    assert between(call) == ["exp", "sin"]
    svg = picture(Holds(call), SHAPE)
    assert "sin, from exp and inputs;" in svg


def test_arithmetic_says_what_it_takes_and_on_which_side():
    assert between(lambda layer, x: (1.0 - x) / 4) == ["1 −", "÷ 4"]
    assert between(lambda layer, x: x - 0.25) == ["− 0.25"]


def test_a_weight_stands_just_above_what_reads_it():
    def call(layer, x):
        return keras.ops.sin(keras.ops.exp(x)) * layer.weight

    found = composed(Holds(call), SHAPE)
    assert found.index("exp") < found.index("learned weight") < found.index("×")


def test_a_long_picture_has_runs_as_one_box_but_not_what_is_read_twice():
    run = ["exp", "sin", "tan", "sinh", "cosh", "tanh", "sqrt", "arctan", "log1p"]

    def call(layer, x):
        for name in run:
            x = getattr(keras.ops, name)(x)
        return keras.ops.cos(x) * x

    assert between(call) == [" → ".join(run), "cos", "×"]


def test_a_draw_is_drawn_and_changes_nothing():
    layer = DropPath(0.5, seed=3)
    before = keras.ops.convert_to_numpy(layer.seed_generator.state)
    assert "random numbers" in composed(layer)
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(layer.seed_generator.state), before)


def test_the_layer_has_its_weights_again_afterwards():
    layer = Holds(lambda layer, x: x * layer.weight)
    picture(layer, SHAPE, {"table": "table"})
    assert isinstance(layer.weight, keras.Variable)
    assert "table" not in vars(layer)
    assert layer(np.ones((1, 2, 64), "float32")).shape == (1, 2, 64)


def test_a_layer_that_asks_a_weight_what_no_tensor_knows_is_drawn_all_the_same():
    assert between(lambda layer, x: x * (3.0 if layer.weight.trainable else 2.0)) == ["× 3"]


def in_turn(layer, x):
    for inner in layer.held:
        x = inner(x)
    return x


def chain(*kinds):
    makers = {"d": lambda: keras.layers.Dense(64), "n": keras.layers.LayerNormalization}
    return [makers[kind]() for kind in kinds]


def test_a_long_loop_is_drawn_once_with_how_often_it_runs():
    svg = picture(Holds(in_turn, *chain(*"dndndndndndndn")), SHAPE)
    root, boxes, _ = read(svg)
    assert [lines[0] for *_, lines in boxes] == [
        "inputs (b, t, d)",
        *["Dense", "LayerNormalization", "outputs (b, t, d)"],
    ]
    (brace,) = (group for group in root.iter("g") if group.get("class") == "lz-times")
    assert brace.find("text").text == "× 7"
    assert "from Dense to LayerNormalization 7 times" in root.find("desc").text
    x = float(brace.find("text").get("x"))
    assert max(right for _, _, right, *_ in boxes) < x
    assert x + sans("× 7") < float(root.get("width"))


@pytest.mark.parametrize(
    "kinds", ["dndn", "ddddddddnnnnnnnn", "dndnndndndnndndnnd"], ids=["short", "runs", "mixed"]
)
def test_what_is_short_or_no_loop_is_drawn_as_it_is(kinds):
    words = {"d": "Dense", "n": "LayerNormalization"}
    assert between(in_turn, *chain(*kinds)) == [words[kind] for kind in kinds]


def test_what_runs_side_by_side_is_no_loop():
    def call(layer, x):
        return reduce(keras.ops.add, [inner(x) for inner in layer.held])

    held = [keras.layers.Dense(64) for _ in range(13)]
    assert composed(Holds(call, *held)).count("Dense") == 13


@pytest.mark.parametrize("seed", range(12))
def test_a_picture_of_anything_can_be_read(seed):
    check_it_can_be_read(picture(Tangle(seed, 4 + seed), {"inputs": {"b": 13, "d": 64}}), sans, 4)


def test_drawing_twice_gives_the_same_pictures():
    make = LAYERS["SelfAttention"]
    assert trace(make(), SHAPE) == trace(make(), SHAPE)
    assert picture(make(), SHAPE) == picture(make(), SHAPE)


def test_snake_case_is_the_name_that_keras_gives():
    for kind in (keras.layers.GaussianNoise, keras.layers.ReLU, keras.layers.RMSNormalization):
        layer = kind(**({"stddev": 1.0} if kind is keras.layers.GaussianNoise else {}))
        assert re.sub(r"_\d+$", "", layer.name) == snake_case(kind.__name__)
    assert snake_case("GatedMLP") == "gated_mlp"
