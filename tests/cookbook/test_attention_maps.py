"""Scores are those that a layer uses inside the model, which stays as it was; a picture shows them."""

import inspect
import io
import sys
from importlib.util import find_spec
from itertools import pairwise

import keras
import numpy as np
import pytest
from keras import layers, ops

import layerzoo
from layerzoo import GatedAttentionPooling, GatedMLP, Residual, SelfAttention
from layerzoo.cookbook.attention_maps import attention_scores, draw_attention

ATTENTION = {
    name: card
    for name, card in layerzoo.catalogue().items()
    if "return_attention_scores" in inspect.signature(card.layer.call).parameters
}
drawing = pytest.mark.skipif(
    not find_spec("matplotlib"),
    reason="the extra `demo` is not installed",
)


@pytest.fixture(autouse=True)
def seeded():
    keras.utils.set_random_seed(0)


@pytest.fixture(scope="module")
def x():
    return np.random.default_rng(0).normal(size=(2, 5, 8)).astype("float32")


def numbers(tensor):
    return ops.convert_to_numpy(tensor)


def of(layer, *inputs, **kwargs):
    """The scores of a layer that is called by itself."""
    return numbers(layer(*inputs, **kwargs, return_attention_scores=True)[1])


class Subclassed(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.attend = Residual([GatedMLP(8), SelfAttention(2, name="inner")], norm="pre")
        self.pool = GatedAttentionPooling(4, name="pool")

    def call(self, inputs):
        return self.pool(self.attend(inputs))


def sequential(x):
    model = keras.Sequential(
        [keras.Input((None, 8)), layers.Dense(8), SelfAttention(2, causal=True)]
    )
    dense, attend = model.layers
    return model, [of(attend, dense(x))]


def functional(x):
    """A shared layer, and one of Keras's that reads two sequences."""
    inputs = keras.Input((5, 8))
    shared = SelfAttention(2, name="shared")
    cross = layers.MultiHeadAttention(3, 4, name="cross")
    once = shared(inputs)
    model = keras.Model(inputs, layers.Add()([cross(inputs, once), shared(once)]))
    first = shared(x)
    in_order = {
        "shared": of(shared, x),
        "cross": of(cross, x, first),
        "shared#2": of(shared, first),
    }
    return model, in_order


def subclassed(x):
    model = Subclassed()
    model(x)
    mix, attend = model.attend.layer
    normal = mix(model.attend.norm_in(x))
    return model, [of(attend, normal), of(model.pool, model.attend(x))]


def nested(x):
    encoder = keras.Sequential([keras.Input((5, 8)), Residual(SelfAttention(4))], name="encoder")
    model = keras.Sequential(
        [keras.Input((5, 8)), layers.Dense(8), encoder, GatedAttentionPooling(4)]
    )
    dense, _, pool = model.layers
    return model, [of(encoder.layers[0].layer, dense(x)), of(pool, encoder(dense(x)))]


MODELS = pytest.mark.parametrize("build", [sequential, functional, subclassed, nested])


@MODELS
def test_scores_are_those_of_the_layer_called_by_itself(build, x):
    model, expected = build(x)
    found = attention_scores(model, x)
    if isinstance(expected, dict):
        found = {name: found[name] for name in expected}
        expected = list(expected.values())
    assert len(found) == len(expected)
    for ours, theirs in zip(found.values(), expected, strict=True):
        assert isinstance(ours, np.ndarray)
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(ours.sum(axis=-1), 1, rtol=1e-5)


@pytest.mark.parametrize("name", ATTENTION)
def test_every_layer_that_has_scores_is_served(name):
    card = ATTENTION[name]
    config = card.configs(lambda options: options[0])
    sizes = {"b": 2, "t": 5, "s": 3, **card.dims(lambda options: options[0], config)}
    rng = np.random.default_rng(1)
    inputs = {
        name: rng.normal(size=[sizes.get(letter, 4) for letter in axes]).astype("float32")
        for name, axes in card.axes.items()
    }
    layer = card.layer(**config)
    symbols = {name: keras.Input(array.shape[1:], name=name) for name, array in inputs.items()}
    model = keras.Model(symbols, layer(**symbols))
    (found,) = attention_scores(model, inputs, layer).values()
    np.testing.assert_allclose(found, of(layer, **inputs), rtol=1e-5, atol=1e-6)
    if not find_spec("matplotlib"):
        return
    if found.ndim > 4:  # those of each window: as arrays only
        with pytest.raises(ValueError, match="Scores must have the shape"):
            draw_attention(model, inputs, layer)
    else:
        *panels, _ = draw_attention(model, inputs, layer).axes
        assert len(panels) == (found.shape[1] if found.ndim == 4 else 1)


@pytest.mark.parametrize(
    "layer",
    [
        layers.MultiHeadAttention(2, 4, dropout=0.5),
        layers.GroupQueryAttention(4, 4, 2),
        layers.Attention(),
        layers.AdditiveAttention(),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_keras_s_own_layers_are_served(layer, x):
    inputs = keras.Input((5, 8))
    two = isinstance(layer, layers.Attention)
    model = keras.Model(inputs, layer([inputs, inputs]) if two else layer(inputs, inputs))
    (found,) = attention_scores(model, x).values()
    expected = of(layer, [x, x]) if two else of(layer, x, x)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_a_mask_reaches_the_layer():
    embed = layers.Embedding(9, 8, mask_zero=True)
    attend, pool = SelfAttention(2), GatedAttentionPooling(4)
    model = keras.Sequential([keras.Input((4,)), embed, Residual(attend), pool])
    tokens = np.array([[3, 4, 0, 0], [1, 2, 5, 6]])
    heads, weights = attention_scores(model, tokens).values()
    assert np.all(heads[0, :, :, 2:] == 0)
    assert np.all(heads[1] > 0)
    np.testing.assert_array_equal(weights > 0, tokens > 0)
    mask = ops.convert_to_tensor(tokens > 0)
    np.testing.assert_allclose(heads, of(attend, embed(tokens), mask=mask), rtol=1e-5, atol=1e-6)


def test_a_model_that_asks_for_scores_itself_still_gets_them(x):
    inputs = keras.Input((5, 8))
    outputs, scores = SelfAttention(2)(inputs, return_attention_scores=True)
    model = keras.Model(inputs, {"outputs": outputs, "scores": scores})
    (found,) = attention_scores(model, x).values()
    np.testing.assert_array_equal(found, numbers(model(x)["scores"]))


@pytest.mark.parametrize("policy", ["mixed_float16", "bfloat16", "float32", "float64"])
def test_scores_are_numbers_that_numpy_has(policy, x):
    if policy == "float64" and keras.backend.backend() == "jax":
        pytest.skip("JAX has no float64 unless it is told at its start")
    model = keras.Sequential([keras.Input((5, 8)), GatedAttentionPooling(2, dtype=policy)])
    (found,) = attention_scores(model, x).values()
    assert found.dtype == ("float64" if policy == "float64" else "float32")
    np.testing.assert_allclose(found.sum(axis=-1), 1, rtol=1e-2)


def test_a_layer_that_is_computed_again_for_its_gradient_is_served(x):
    plain = Residual(SelfAttention(2))
    expected = attention_scores(keras.Sequential([keras.Input((5, 8)), plain]), x)
    with keras.RematScope(mode="full"):
        again = Residual(SelfAttention(2))
        model = keras.Sequential([keras.Input((5, 8)), again])
    again.set_weights(plain.get_weights())
    for ours, theirs in zip(attention_scores(model, x).values(), expected.values(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6)
    assert again.layer._remat_mode.mode == "full"


# The model stays as it was.


def everything(model):
    """What a model and its layers hold; a list or dict by what is in it."""
    return [
        {
            name: list(value) if isinstance(value, list | set | dict) else value
            for name, value in vars(layer).items()
        }
        for layer in model._flatten_layers()
    ]


def same(before, after):
    assert len(before) == len(after)
    for old, new in zip(before, after, strict=True):
        assert list(old) == list(new)
        for name, value in old.items():
            kept = new[name]
            assert value is kept or (isinstance(value, list) and value == kept), name


@MODELS
def test_the_model_stays_as_it_was(build, x):
    model, _ = build(x)
    outputs, config = numbers(model(x)), model.get_config() if build is not subclassed else None
    weights, before = model.get_weights(), everything(model)
    attention_scores(model, x)
    same(before, everything(model))
    np.testing.assert_array_equal(numbers(model(x)), outputs)
    for old, new in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert build is subclassed or model.get_config() == config
    assert all("call" not in vars(layer) for layer in model._flatten_layers())


def test_states_losses_and_other_traces_stay_too(x):
    model = keras.Sequential(
        [
            keras.Input(batch_shape=(2, 5, 8)),
            layers.GRU(8, stateful=True, return_sequences=True),
            layers.ActivityRegularization(l2=0.1),
            layers.Dropout(0.5, seed=1),
            SelfAttention(2, dropout=0.5, seed=2),
        ]
    )
    model(x)
    state, losses = [numbers(v) for v in model.variables], len(model.losses)
    first = attention_scores(model, x)
    for old, new in zip(state, model.variables, strict=True):
        np.testing.assert_array_equal(old, numbers(new))
    assert np.any(state[model.variables.index(model.layers[0].cell.kernel)])
    assert len(model.losses) == losses
    for name, again in attention_scores(model, x).items():
        np.testing.assert_array_equal(first[name], again)
        np.testing.assert_allclose(again.sum(axis=-1), 1, rtol=1e-5)  # nothing is dropped


def test_a_model_that_fails_stays_as_it_was():
    class Fails(layers.Layer):
        broken = False

        def call(self, inputs):
            if self.broken:
                raise RuntimeError("broken")
            return inputs

    model = keras.Sequential([keras.Input((5, 8)), SelfAttention(2), Fails()])
    model.layers[-1].broken = True
    before = everything(model)
    with pytest.raises(RuntimeError, match="broken"):
        attention_scores(model, np.zeros((1, 5, 8), "float32"))
    same(before, everything(model))


# Which layers.


def test_a_layer_is_chosen_by_itself_its_name_its_path_or_one_around_it(x):
    model, _ = subclassed(x)
    inner, pool = attention_scores(model, x)
    for layer in ("inner", inner, model.attend, model.attend.name, model.attend.layer[1]):
        assert list(attention_scores(model, x, layer)) == [inner]
    assert list(attention_scores(model, x, model.pool)) == [pool]
    assert list(attention_scores(model.attend, x)) == [inner]


class Around(layers.Layer):
    """Is made of an attention layer, whose scores are its own."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.part = SelfAttention(2, name="part")

    def call(self, inputs, return_attention_scores=False):
        return self.part(inputs, return_attention_scores=return_attention_scores)


def test_a_layer_made_of_another_is_asked_once(x):
    model = keras.Sequential([keras.Input((5, 8)), Around(name="around")], name="model")
    (outer,) = attention_scores(model, x).values()
    assert list(attention_scores(model, x)) == ["model/around"]
    (inner,) = attention_scores(model, x, "part").values()
    np.testing.assert_allclose(outer, inner, rtol=1e-6)


def test_namesakes_are_all_chosen(x):
    parts = [
        keras.Sequential([keras.Input((5, 8)), SelfAttention(2, name="attend")], name=name)
        for name in ("one", "two")
    ]
    model = keras.Sequential([keras.Input((5, 8)), *parts])
    assert list(attention_scores(model, x, "attend")) == ["one/attend", "two/attend"]
    assert list(attention_scores(model, x, "two")) == ["two/attend"]


def test_what_cannot_be_found_is_told(x):
    model, _ = nested(x)
    told = (
        r"`layer` must be a layer of the model.*Received: layer='none'\. .*attention layers are enc"
    )
    with pytest.raises(ValueError, match=told):
        attention_scores(model, x, "none")
    with pytest.raises(ValueError, match="`layer` must be a layer of the model"):
        attention_scores(model, x, SelfAttention(2))
    told = rf"an attention layer.*Received: layer='{model.layers[0].name}', which has none"
    with pytest.raises(ValueError, match=told):
        attention_scores(model, x, model.layers[0])
    plain = keras.Sequential([keras.Input((5, 8)), layers.Dense(2)], name="plain")
    with pytest.raises(
        ValueError, match=r"an attention layer.*Received: model='plain', which has none"
    ):
        attention_scores(plain, x)
    fresh = Subclassed(name="fresh")
    with pytest.raises(ValueError, match=r"must be built before.*Received: model='fresh'"):
        attention_scores(fresh, x)
    assert not fresh.built


def test_a_layer_that_is_not_called_is_told(x):
    class Choosy(keras.Model):
        def __init__(self):
            super().__init__()
            self.attend = SelfAttention(2, name="attend")

        def call(self, inputs):
            return inputs if inputs.shape[1] < 3 else self.attend(inputs)

    model = Choosy()
    model(x)
    with pytest.raises(ValueError, match=r"must call the attention layer.*Received: .*attend"):
        attention_scores(model, x[:, :2])


# The picture.


def texts(ticks):
    return [tick.get_text() for tick in ticks]


@drawing
def test_a_panel_for_each_head_with_its_scores_and_labels(x):
    model = keras.Sequential([keras.Input((5, 8)), Residual(SelfAttention(8))], name="model")
    labels = ["we", "look", "at", "each", "other"]
    figure = draw_attention(model, x, labels=labels, sample=1)
    *panels, bar = figure.axes
    ((path, scores),) = attention_scores(model, x).items()
    assert len(panels) == 8
    assert len({panel.get_position().y0 for panel in panels}) == 2
    for head, panel in enumerate(panels):
        (image,) = panel.images
        np.testing.assert_array_equal(image.get_array(), scores[1, head])
        assert image.get_clim() == (0, pytest.approx(scores[1].max()))
        assert panel.get_title() == f"head {head + 1}"
        assert texts(panel.get_xticklabels()) == labels
        assert texts(panel.get_yticklabels()) == (labels if head % 4 == 0 else [])
    assert bar.get_ylabel() == "score"
    (area,) = figure.subfigs
    assert area.get_suptitle() == path
    assert (area.get_supxlabel(), area.get_supylabel()) == ("key", "query")


@drawing
def test_each_layer_has_its_own_scale(x):
    model, _ = subclassed(x)
    figure = draw_attention(model, x)
    for area, array in zip(figure.subfigs, attention_scores(model, x).values(), strict=True):
        assert {panel.images[0].get_clim() for panel in area.axes[:-1]} == {
            (0, float(array[0].max()))
        }
    assert [area.get_supylabel() for area in figure.subfigs] == ["query", ""]


@drawing
def test_a_pooling_has_its_keys_labelled_and_one_row(x):
    model = keras.Sequential([keras.Input((5, 8)), GatedAttentionPooling(4)])
    panel, _ = draw_attention(model, x, labels=[5, 4, 3, 2, 1]).axes
    assert panel.images[0].get_array().shape == (1, 5)
    assert texts(panel.get_xticklabels()) == list("54321")
    assert texts(panel.get_yticklabels()) == [""]


@drawing
def test_queries_and_keys_may_be_called_differently(x):
    one, other = keras.Input((5, 8)), keras.Input((3, 8))
    model = keras.Model([one, other], layers.MultiHeadAttention(2, 4, name="cross")(one, other))
    figure = draw_attention(model, [x, x[:, :3]], labels="abcde", key_labels="xyz")
    panel = figure.axes[0]
    assert texts(panel.get_yticklabels()) == list("abcde")
    assert texts(panel.get_xticklabels()) == list("xyz")
    with pytest.raises(
        ValueError, match=r"`labels` must.*Received: 5 entries, for the 3 steps of cr"
    ):
        draw_attention(model, [x, x[:, :3]], labels="abcde")
    with pytest.raises(
        ValueError, match=r"`key_labels` must.*Received: 2 entries, for the 3 steps"
    ):
        draw_attention(model, [x, x[:, :3]], key_labels="ab")
    panel = draw_attention(model, [x, x[:, :3]]).axes[0]
    assert texts(panel.get_yticklabels()) == list("01234")


class Told(layers.Layer):
    """Has the scores that it was told to have."""

    def __init__(self, scores):
        super().__init__()
        self.scores = np.asarray(scores, "float32")
        self.built = True

    def call(self, inputs, return_attention_scores=False):
        return (inputs, ops.convert_to_tensor(self.scores)) if return_attention_scores else inputs


@drawing
def test_zero_is_in_the_middle_where_scores_are_negative(x):
    told = Told(np.array([[[[0.25, -0.5]], [[0.125, 0.25]]]]))
    *panels, _ = draw_attention(told, x).axes
    assert [panel.images[0].get_clim() for panel in panels] == [(-0.5, 0.5), (-0.5, 0.5)]
    assert {panel.images[0].get_cmap().name for panel in panels} == {"RdBu"}
    told.scores = abs(told.scores)
    *panels, _ = draw_attention(told, x).axes
    assert [panel.images[0].get_clim() for panel in panels] == [(0, 0.5), (0, 0.5)]
    assert {panel.images[0].get_cmap().name for panel in panels} == {"Blues"}
    assert draw_attention(told, x, cmap="cividis").axes[0].images[0].get_cmap().name == "cividis"


@drawing
@pytest.mark.parametrize(
    ("shape", "value"),
    [((1, 1), 0), ((1, 1, 1, 1), 1), ((1, 7, 1, 30), 1), ((1, 2, 130, 130), 0), ((1, 40, 3), 1)],
)
def test_pictures_of_any_size_fit_on_their_page(shape, value, x):
    names = [f"step {step}" for step in range(shape[-1])]
    figure = draw_attention(Told(np.full(shape, value)), x, key_labels=names)
    figure.savefig(io.BytesIO(), dpi=50)  # would warn where the layout leaves no room
    assert max(figure.get_size_inches()) < 22
    panel = figure.axes[0]
    at = [label.get_window_extent() for label in panel.get_xticklabels()]
    assert not any(left.overlaps(right) for left, right in pairwise(at))
    assert texts(panel.get_xticklabels())[0] == "step 0"


@drawing
def test_what_cannot_be_drawn_is_told(x):
    with pytest.raises(
        ValueError, match=r"Scores must have the shape.*Received: \(1, 2, 3, 4, 5\) from told"
    ):
        draw_attention(Told(np.ones((1, 2, 3, 4, 5))), x)
    for sample in (-1, 2):
        with pytest.raises(ValueError, match=rf"Received: sample={sample}, for a batch of 2"):
            draw_attention(Told(np.ones((2, 3))), x, sample=sample)


def test_a_missing_extra_is_named(x, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"pip install .*\[demo\].*Received: missing="):
        draw_attention(Told(np.ones((1, 3))), x)
    assert attention_scores(Told(np.ones((1, 3))), x)
