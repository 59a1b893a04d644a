"""The strategies: what they draw, how a failure shrinks and prints, and what they say about bad input."""

import keras
import numpy as np
import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st
from hypothesis.errors import NoSuchExample

from layerzoo import Card, Traits, catalogue
from layerzoo.catalogue import Tensor
from layerzoo.testing import Case, Sample, card_of
from layerzoo.testing.engine import strategies
from layerzoo.testing.engine.placed import Built, Placed
from layerzoo.testing.engine.samples import KINDS
from layerzoo.testing.engine.strategies import LARGEST, MASKS, PLACES, ROOM

CATALOGUE = catalogue()
ATTENTION = CATALOGUE["SelfAttention"]
SHRINKING = (Phase.generate, Phase.shrink)
COMMON = dict(deadline=None, derandomize=True, database=None, phases=SHRINKING)
quick = settings(max_examples=25, **COMMON)
seldom = settings(max_examples=1000, **COMMON)
NAMES = {
    **{name: card.layer for name, card in CATALOGUE.items()},
    **vars(keras.layers),
    **dict(np=np, keras=keras, catalogue=catalogue, array=np.array, float32=np.float32),
    **dict(Case=Case, Sample=Sample, Built=Built, Placed=Placed),
}


@keras.saving.register_keras_serializable(package="layerzoo.tests.strategies")
class Both(keras.layers.Layer):
    """Takes a list and a dict."""

    def call(self, inputs, context):
        first, second = inputs
        looked_up = keras.ops.cast(context["ids"], first.dtype)[..., None]
        return first + second + looked_up


NESTED = Card(
    layer=Both,
    inputs={"inputs": ["b t d", "b t d"], "context": {"ids": Tensor("b t", "int32", high=7)}},
    traits=Traits(dynamic="b t d"),
)


@pytest.mark.parametrize("card", [*CATALOGUE.values(), NESTED], ids=lambda card: card.name)
def test_sizes_fit_the_card(card):
    @quick
    @given(strategies.cases(card, empty=True))
    def check(case):
        sizes = case.sizes
        for letter in case.fixed:
            assert sizes.get(letter, case.dims[letter]) == case.dims[letter]
        for letter in set(sizes) - case.fixed:
            least = 0 if letter == "b" and case.traits.zero_batch else case.dims.get(letter, 1)
            assert least <= sizes[letter] <= max(LARGEST, case.dims.get(letter, 0))
        shapes = case.shapes()
        assert all(np.prod(shape) <= 3 * ROOM for shape in shapes.values())

    check()


def test_small_equal_and_large_sizes_are_all_frequent():
    seen = []

    @settings(max_examples=300, **COMMON)
    @given(strategies.sizes(ATTENTION))
    def collect(sizes):
        seen.append(sizes)

    collect()
    share = lambda wanted: np.mean([wanted(**sizes) for sizes in seen])  # noqa: E731
    assert share(lambda b, t, d: b == 1 < t) > 0.1
    assert share(lambda b, t, d: t == 1) > 0.05
    assert share(lambda b, t, d: t == d) > 0.2
    assert share(lambda b, t, d: t > 8) > 0.3
    for edge in (8, 9, 16, 17, 32, 33):
        assert share(lambda b, t, d, edge=edge: t == edge) > 0.01


def test_a_size_that_the_card_gives_and_lets_change_is_the_smallest():
    card = Card(
        layer=keras.layers.Conv1D,
        inputs="b t d",
        configs=lambda pick: dict(filters=3, kernel_size=5),
        dims=lambda pick, config: dict(t=5),
        traits=Traits(dynamic="b t"),
    )
    assert find(strategies.sizes(card), lambda sizes: True, settings=quick)["t"] == 5
    assert find(strategies.sizes(card), lambda sizes: sizes["t"] > 5, settings=quick)["t"] == 6


def test_the_batch_is_empty_only_if_asked_and_claimed():
    empty = lambda sizes: sizes["b"] == 0  # noqa: E731
    found = find(strategies.sizes(ATTENTION, empty=True), empty, settings=seldom)
    assert found == {"b": 0, "d": 8, "t": 1}
    refuses = Card(layer=Both, inputs=["b t", "b t"], traits=Traits(zero_batch=False))
    for strategy in (strategies.sizes(ATTENTION), strategies.sizes(refuses, empty=True)):
        with pytest.raises(NoSuchExample):
            find(strategy, empty, settings=settings(seldom, max_examples=200))


def test_inputs_have_the_form_of_the_call_and_their_range():
    @quick
    @given(st.data(), strategies.sizes(NESTED))
    def check(data, sizes):
        given = data.draw(strategies.inputs(NESTED, sizes=sizes))
        assert [x.shape for x in given["inputs"]] == [(sizes["b"], sizes["t"], sizes["d"])] * 2
        ids = given["context"]["ids"]
        assert ids.dtype == "int32"
        assert ids.shape == (sizes["b"], sizes["t"])
        assert ((ids >= 0) & (ids < 7)).all()

    check()


def test_images_come_in_both_formats():
    ranks = set()

    @quick
    @given(strategies.layers(CATALOGUE["SqueezeExcite"]))
    def check(built):
        (x,) = built.inputs.values()
        given = built.layer.get_config()["data_format"]
        ranks.add((x.ndim, given))
        assert x.shape[1 if x.ndim == 4 and given == "channels_first" else -1] in (16, 24)

    check()
    assert {(4, "channels_first"), (4, "channels_last")} <= ranks


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_values_is_what_it_says(kind):
    @quick
    @given(strategies.arrays("b d", (3, 7), [kind]))
    def check(x):
        assert x.shape == (3, 7)
        assert x.dtype == "float32"
        if kind in ("zeros", "ones"):
            assert (x == (kind == "ones")).all()
        elif kind == "ties":
            assert (x == np.round(x)).all()
        elif kind == "sorted":
            assert (np.diff(x) >= 0).all()
        else:
            size = np.abs(x).mean()
            assert {"small": 0 < size < 0.1, "large": size > 5, "normal": 0.1 < size < 5}[kind]

    check()


@pytest.mark.parametrize("kind", MASKS)
def test_each_kind_of_mask_is_what_it_says(kind):
    @quick
    @given(strategies.masks(3, 5, [kind]))
    def check(mask):
        if kind == "none":
            assert mask is None
            return
        assert mask.shape == (3, 5)
        assert mask.dtype == bool
        if kind in ("right", "ragged"):
            assert (np.diff(mask.astype(int)) <= 0).all()
        if kind == "left":
            assert (np.diff(mask.astype(int)) >= 0).all()
        if kind == "inside":
            assert mask.any(axis=1).all()
        assert mask.all() or kind != "full"
        assert not mask.any() or kind != "all masked"

    check()
    assert find(strategies.masks(1, 1, [kind]), lambda mask: True, settings=quick) in (
        None,
        *([[True]], [[False]]),
    )


def test_a_built_layer_has_no_weight_at_its_start():
    @quick
    @given(strategies.layers(CATALOGUE["GatedMLP"]))
    def check(built):
        assert built.layer.built
        for weight in built.layer.weights:
            assert keras.ops.convert_to_numpy(weight).all()

    check()


@pytest.mark.parametrize(
    "name", ["SqueezeExcite", "CrossAttention", "AttentionPooling", "DropPath"]
)
def test_in_a_model_the_layer_gives_what_is_due(name):
    seen = set()

    @settings(max_examples=15, **COMMON)
    @given(strategies.models(CATALOGUE[name]))
    def check(placed):
        seen.add(placed.where)
        pairs = zip(placed.call(), placed.due(), strict=True)
        assert all(np.allclose(a, e, rtol=1e-4, atol=1e-4) for a, e in pairs)

    check()
    assert len(seen) > 1
    assert seen <= set(PLACES)
    assert not seen & {"Sequential", "Residual"} or name != "CrossAttention"


def test_a_failure_shrinks_to_the_plain_config_the_smallest_sizes_and_zeros():
    found = find(
        strategies.cases(ATTENTION),
        lambda case: case.config["causal"] and case.sizes["t"] >= 10,
        settings=seldom,
    )
    assert repr(found) == (
        'Case(catalogue()["SelfAttention"], '
        "Sample(choices=(0, 0, 0, 1), values='zeros', sizes={'b': 1, 't': 10}))"
    )
    assert found.written == "num_heads=2, causal=True"


@pytest.mark.parametrize("name", ["SelfAttention", "Residual", "CrossAttention", "AlibiBias"])
def test_what_is_drawn_prints_as_the_python_that_makes_it(name):
    card = CATALOGUE[name]

    @settings(max_examples=8, **COMMON)
    @given(strategies.cases(card), strategies.models(card), strategies.configs(card))
    def check(case, placed, config):
        again = eval(repr(case), dict(NAMES))
        assert (again.written, again.sizes) == (case.written, case.sizes)
        assert repr(type(config)(eval(repr(config), dict(NAMES)))) == repr(config)
        other = eval(repr(placed), dict(NAMES))
        assert other.where == placed.where
        for a, e in zip(other.call(), placed.call(), strict=True):
            np.testing.assert_array_equal(a, e)

    check()


def test_a_card_of_a_module_prints_as_its_variable():
    found = find(strategies.cases(NESTED), lambda case: True, settings=quick)
    assert repr(found).startswith("Case(NESTED, Sample(")


def test_drawing_leaves_python_s_random_numbers_alone():
    """Keras draws the seeds of initializers from them, and Hypothesis forbids that."""

    @settings(max_examples=5, **COMMON)
    @given(strategies.models(CATALOGUE["Residual"]), strategies.configs(CATALOGUE["Residual"]))
    def check(placed, config):
        assert placed.built.layer.built

    check()


@pytest.mark.parametrize("make", [strategies.configs, strategies.sizes, strategies.cases])
def test_what_is_no_card_is_answered_with_how_to_get_one(make):
    with pytest.raises(
        TypeError, match=r"card_of\(layer, inputs=\(2, 5, 16\)\).* Received: <Dense"
    ):
        find(make(keras.layers.Dense(3)), lambda drawn: True, settings=quick)


def test_an_instance_is_drawn_through_its_card():
    card = card_of(keras.layers.Dense(3), (2, 5), Traits(dynamic="b"))

    @quick
    @given(strategies.layers(card))
    def check(built):
        (y,) = built.call()
        assert y.shape == (built.case.sizes["b"], 3)

    check()


@pytest.mark.parametrize(
    ("card", "words"),
    [
        (Card(layer=Both, inputs="b q"), "must give a size in `dims`.* without size: .'q'"),
        (
            Card(layer=keras.layers.Dense, inputs="b d", configs=lambda pick: dict(units=-1)),
            "must give arguments that the constructor accepts. Received: {'units': -1}",
        ),
    ],
)
def test_a_card_that_cannot_be_used_is_told_what_to_give(card, words):
    with pytest.raises(ValueError, match=words):
        find(strategies.layers(card), lambda drawn: True, settings=quick)


def test_a_config_that_cannot_be_made_is_told_with_its_arguments():
    card = Card(
        layer=keras.layers.Dense, inputs="b d", configs=lambda pick: dict(units=pick([2, -1]))
    )
    with pytest.raises(
        ValueError, match=r"must give arguments .* Received: units=-1, which raised"
    ):
        find(strategies.layers(card), lambda built: built.layer.units < 0, settings=quick)


@pytest.mark.parametrize(
    "make",
    [
        lambda: strategies.masks(2, 3, ["middle"]),
        lambda: strategies.arrays("b", (2,), ["strange"]),
        lambda: strategies.models(ATTENTION, ["Cupboard"]),
        lambda: strategies.models(CATALOGUE["CrossAttention"], ["Sequential"]),
        lambda: strategies.inputs(ATTENTION, sizes=dict(b=1, t=2)),
    ],
)
def test_words_and_sizes_that_do_not_fit_are_refused(make):
    with pytest.raises(ValueError, match=r"must .* Received: "):
        find(make(), lambda drawn: True, settings=quick)
