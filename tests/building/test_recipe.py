"""The layers inside a layer: frozen with it, and as they were in a file, whatever was done to them."""

import copy

import keras
import numpy as np
import pytest
from keras import layers, ops
from recipes import each_card, first, shapes

from layerzoo import GatedMLP, RelativePositionBias, Residual, SelfAttention
from layerzoo.tensors import compat

x = np.random.default_rng(0).normal(size=(4, 6, 8)).astype("float32")


def model_of(layer):
    return keras.Sequential([keras.Input((6, 8)), layer, layers.Dense(1)])


def moved_by_fit(model):
    """How many weights of the first layer training moves."""
    layer = model.layers[0]
    before = layer.get_weights()
    model.compile("sgd", "mse", jit_compile=False)
    model.fit(x, x[..., :1], verbose=0)
    pairs = zip(before, layer.get_weights(), strict=True)
    return sum(not np.array_equal(old, new) for old, new in pairs)


def reloaded(model, folder):
    model.save(folder / "model.keras")
    return keras.saving.load_model(folder / "model.keras")


def attention(**settings):
    return SelfAttention(2, position=RelativePositionBias(8), qk_norm=True, **settings)


def nested(**settings):
    inner = Residual([GatedMLP(6, activation=layers.PReLU()), layers.Dense(8)], norm="pre")
    return Residual(Residual(inner, scale=0.5), norm="sandwich", **settings)


def of_keras(**settings):
    return Residual([layers.Bidirectional(layers.GRU(4, return_sequences=True))], **settings)


@pytest.mark.parametrize("make", [attention, nested, of_keras])
def test_training_moves_nothing_of_a_frozen_layer(make, tmp_path):
    made = model_of(make(trainable=False))
    assert moved_by_fit(made) == 0
    later = model_of(make())
    later.layers[0].trainable = False
    loaded = reloaded(later, tmp_path)
    for model in (loaded, keras.models.clone_model(later), copy.deepcopy(later)):
        assert [v.path for v in model.trainable_variables] == [
            v.path for v in model.layers[1].weights
        ]
    assert moved_by_fit(loaded) == 0
    loaded.layers[0].trainable = True
    assert len(loaded.trainable_variables) == len(model_of(make()).trainable_variables)


@pytest.mark.parametrize("frozen", [layers.Dense, GatedMLP])
def test_a_frozen_layer_inside_one_that_trains_stays_frozen(frozen, tmp_path):
    model = model_of(Residual([frozen(6, trainable=False), layers.Dense(8)], norm="pre"))
    due = ["beta", "bias", "gamma", "kernel"]
    for each in (model, reloaded(model, tmp_path), copy.deepcopy(model)):
        assert sorted(v.name for v in each.layers[0].trainable_variables) == due
    model = model_of(Residual(GatedMLP(6)))
    model.layers[0].layer.gate.trainable = False
    for each in (model, reloaded(model, tmp_path), copy.deepcopy(model)):
        assert not each.layers[0].layer.gate.trainable_variables
        assert len(each.layers[0].trainable_variables) == 4


def quantized(mode):
    return lambda model: model.quantize(mode)


def adapted(model):
    for part in model._flatten_layers():
        if hasattr(part, "enable_lora"):
            part.enable_lora(2, lora_alpha=3.0)


def by_blocks(model):
    model.quantize(config=keras.quantizers.Int4QuantizationConfig(block_size=4))


def both(model):
    model.quantize("int8")
    adapted(model)


LATER = {
    "int8": quantized("int8"),
    "int4": quantized("int4"),
    "int4 by blocks": by_blocks,
    "float8": quantized("float8"),
    "adapted": adapted,
    "quantised, then adapted": both,
}


@pytest.mark.filterwarnings("ignore:Layer .* does not have a `quantize` method:UserWarning")
@pytest.mark.parametrize("how", LATER)
def test_a_model_is_loaded_as_it_was_changed(how, tmp_path):
    """A model that is built and was never called, as it comes from a file."""
    inner = [GatedMLP(6), layers.Dense(8, name="handed_in")]
    model = keras.Sequential([keras.Input((6, 8)), Residual(inner)])
    with compat.little_garbage():
        LATER[how](model)
        copies = reloaded(model, tmp_path), copy.deepcopy(model)
    due = ops.convert_to_numpy(model(x))
    for each in copies:
        for found, kept in zip(each._flatten_layers(), model._flatten_layers(), strict=True):
            assert found.quantization_mode == kept.quantization_mode
            assert getattr(found, "lora_rank", None) == getattr(kept, "lora_rank", None)
            assert getattr(found, "lora_alpha", None) == getattr(kept, "lora_alpha", None)
            described = [
                {(v.name, v.dtype, tuple(v.shape), v.trainable) for v in part.weights}
                for part in (found, kept)
            ]
            assert described[0] == described[1]
        near = 1e-5 if how == "quantised, then adapted" else 0  # Keras rounds the sum anew
        np.testing.assert_allclose(ops.convert_to_numpy(each(x)), due, atol=near)


def test_adapters_train_on_from_a_file(tmp_path):
    model = model_of(Residual([GatedMLP(6), layers.Dense(8)]))
    adapted(model.layers[0])
    loaded = reloaded(model, tmp_path)
    assert (
        moved_by_fit(loaded) == 4 * 2
    )  # both factors are not zero: the second one moves, and the biases


def test_a_file_of_a_layer_as_it_was_made_says_nothing_of_its_parts():
    layer = nested()
    layer.build((None, 6, 8))
    assert set(layer.get_build_config()) == {"input_shape"}
    layer.trainable = False
    assert set(layer.get_build_config()) == {"input_shape"}


def test_other_parts_than_were_saved_are_refused():
    layer = GatedMLP(6)
    layer.build((None, 8))
    layer.gate.trainable = False
    config = layer.get_build_config()
    with pytest.raises(ValueError, match=r"when it was saved\. Received: 4 saved, 2 in"):
        SelfAttention(2).build_from_config(config)


def sized(card, **changed):
    """Shapes of the inputs for a plain layer."""
    config = card.configs(first)
    return shapes(card, config, {**card.dims(first, config), **changed}, t=5, s=5)


@each_card
def test_every_layer_inside_is_built_with_its_owner(card):
    layer = card.layer(**card.configs(first))
    layer(**{name: keras.Input(shape[1:]) for name, shape in sized(card).items()})
    assert all(part.built for part in layer._flatten_layers())


@each_card
def test_call_needs_a_layer_that_is_built(card):
    layer = card.layer(**card.configs(first), name="mine")
    given = {name: np.zeros(shape, "float32") for name, shape in sized(card).items()}
    with pytest.raises(ValueError, match=r"built before `call`.*Received: layer=mine, built=False"):
        layer.call(**given)
    assert not layer.built
    layer(**given)
    layer.call(**{name: ops.convert_to_tensor(value) for name, value in given.items()})
