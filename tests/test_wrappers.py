"""Wrappers hold anything: what a layer inside does and is, at any depth, is as if it stood alone."""

import keras
import numpy as np
import pytest
from arrays import close, random
from keras import layers, ops

from layerzoo import (
    GatedMLP,
    HyperConnections,
    LayerScale,
    Residual,
    ReZero,
    SelfAttention,
    TransformerEncoderBlock,
)


@keras.saving.register_keras_serializable(package="layerzoo.tests")
class Everything(layers.Layer):
    """What a layer of a user may have: a loss, a metric, a seed, a counter, noise, and a use for a mask."""

    def __init__(self, units=6, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.seed_generator = keras.random.SeedGenerator(1)
        self.seen = keras.metrics.Sum(name="seen")
        self.supports_masking = True

    def build(self, input_shape):
        self.kernel = self.add_weight((input_shape[-1], self.units))
        self.count = self.add_weight((), "zeros", trainable=False)

    def call(self, inputs, mask=None, training=None):
        self.add_loss(0.5 * ops.ones(()))
        y = ops.matmul(inputs, self.kernel)
        if mask is not None:
            y = ops.where(ops.expand_dims(mask, -1), y, 100.0)
        if training:
            self.count.assign(self.count + 1)
            self.seen.update_state(ops.ones(()))
            y = y + keras.random.normal(ops.shape(y), seed=self.seed_generator, dtype=y.dtype)
        return y

    def get_config(self):
        return {**super().get_config(), "units": self.units}


@keras.saving.register_keras_serializable(package="layerzoo.tests")
class Untold(layers.Layer):
    """A layer that tells no shape of its outputs, as many of users do, and maybe another than is due."""

    def __init__(self, units=6, **kwargs):
        super().__init__(**kwargs)
        self.dense = layers.Dense(units)
        self.units = units

    def build(self, input_shape):
        self.dense.build(input_shape)

    def call(self, inputs):
        return self.dense(inputs)

    def get_config(self):
        return {**super().get_config(), "units": self.units}


def hyper(layer):
    return HyperConnections(layer, 2, enter=True, leave=True)


WRAPPERS = {
    "Residual": lambda layer: Residual(layer, norm="pre", scale=0.5),
    "ReZero": lambda layer: ReZero(layer, init_value=0.5),
    "HyperConnections": hyper,
    "three deep": lambda layer: ReZero(
        [layers.Dropout(0.0), hyper([layers.Identity(), Residual([layer])])], init_value=0.5
    ),
    "in a Sequential": lambda layer: Residual(keras.Sequential([layer])),
}
each_wrapper = pytest.mark.parametrize("wrap", WRAPPERS.values(), ids=WRAPPERS)


def step(model, x):
    """A step of training, and what it reports."""
    model.compile(keras.optimizers.SGD(0.1), "mse", run_eagerly=True, jit_compile=False)
    return model.train_on_batch(x, np.zeros(model(x).shape), return_dict=True)


def reloaded(model, folder):
    model.save(folder / "model.keras")
    return keras.saving.load_model(folder / "model.keras")


def only(kind, model):
    (found,) = (each for each in model._flatten_layers() if isinstance(each, kind))
    return found


@each_wrapper
def test_a_layer_of_a_user_does_inside_what_it_does_alone(wrap, tmp_path):
    inside = Everything()
    model = keras.Sequential([keras.Input((5, 6)), wrap(inside)])
    x = random(2, 5, 6)
    at_rest = model(x)
    assert [float(loss) for loss in model.losses] == [0.5]
    close(model(x), at_rest, relative=0)
    before = ops.convert_to_numpy(inside.seed_generator.state)
    kernel = ops.convert_to_numpy(inside.kernel)
    told, alone = step(model, x), step(keras.Sequential([keras.Input((5, 6)), Everything()]), x)
    assert told["seen"] == alone["seen"]  # 0 on JAX, where Keras loses what a layer's metric saw
    assert alone["seen"] == (keras.backend.backend() != "jax")
    assert float(inside.count) == 1
    assert not np.array_equal(ops.convert_to_numpy(inside.seed_generator.state), before)
    assert not np.array_equal(ops.convert_to_numpy(inside.kernel), kernel)
    loaded = reloaded(model, tmp_path)
    assert float(only(Everything, loaded).count) == 1
    close(loaded(x), model(x), relative=0)


@pytest.mark.filterwarnings("ignore:Layer .* was passed an input with a mask attached:UserWarning")
@each_wrapper
def test_a_mask_reaches_a_layer_of_a_user(wrap):
    """Keras warns of a Sequential, which passes its mask on all the same."""
    block = WRAPPERS["ReZero"](wrap(Everything()))
    x, mask = random(2, 5, 6), np.arange(5) < [[3], [5]]
    far = abs(ops.convert_to_numpy(block(x, mask=mask)) - ops.convert_to_numpy(block(x)))
    assert (far.max(axis=-1) > 5).tolist() == (~mask).tolist()


@each_wrapper
def test_a_layer_that_tells_no_shape_can_be_wrapped(wrap, tmp_path):
    inputs = keras.Input((None, 6))
    model = keras.Model(inputs, wrap(Untold())(inputs))
    assert model.output_shape == (None, None, 6)
    x = random(2, 5, 6)
    close(reloaded(model, tmp_path)(x), model(x), relative=0)


class CountsInNumPy(Untold):
    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], np.int64(self.units))


@pytest.mark.parametrize("wrap", [Residual, ReZero, hyper], ids=lambda wrap: wrap.__name__)
def test_a_layer_may_tell_sizes_as_numbers_of_numpy(wrap):
    assert tuple(wrap(CountsInNumPy())(random(2, 5, 6)).shape) == (2, 5, 6)


def test_the_width_of_a_layer_that_tells_no_shape_is_known_once_it_is_built():
    inputs = keras.Input((None, 6))
    block = Residual(Untold(9))
    assert block(inputs).shape == (None, None, 9)
    assert block.compute_output_shape((4, 7, 6)) == (4, 7, 9)


def backbone():
    """A model with statistics, of which the first Dense stays as it is."""
    inputs = keras.Input((5, 6))
    x = layers.Dense(6, name="stays", trainable=False)(inputs)
    return keras.Model(inputs, layers.Dense(6)(layers.BatchNormalization()(x)))


@each_wrapper
@pytest.mark.parametrize("frozen", [True, False], ids=["frozen", "half frozen"])
def test_a_backbone_is_as_frozen_inside_as_it_was_handed_in(wrap, frozen, tmp_path):
    inside = backbone()
    inside.trainable = inside.trainable and not frozen
    if not frozen:
        inside.get_layer("stays").trainable = False
    model = keras.Sequential([keras.Input((5, 6)), wrap(inside), layers.Dense(1)])
    x = random(4, 5, 6)
    for each in (model, reloaded(model, tmp_path)):
        held = next(part for part in each._flatten_layers() if part.name == inside.name)
        before = held.get_weights()
        step(each, x)
        moved = [not np.array_equal(*pair) for pair in zip(held.get_weights(), before, strict=True)]
        assert moved == [False] * 2 + [not frozen] * 6
        assert len(held.trainable_variables) == (0 if frozen else 4)


class Two(Untold):
    def call(self, inputs, others):
        return self.dense(inputs) + others


class Twice(Untold):
    def call(self, inputs):
        return self.dense(inputs), inputs

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.units), input_shape


class Nothing(Untold):
    def call(self, inputs):
        return None


MISFITS = {
    "shortens": (lambda: layers.Conv1D(6, 3), r"\(2, 3, 6\)"),
    "strides": (lambda: [layers.Dense(6), layers.Conv1D(6, 3, 2)], r"\(2, 2, 6\)"),
    "pools": (layers.GlobalAveragePooling1D, r"\(2, 6\)"),
    "two inputs": (Two, "needs inputs and others"),
    "two inputs of Keras": (lambda: layers.MultiHeadAttention(2, 3), "needs query and value"),
    "two outputs": (Twice, "gives 2 outputs"),
    "states": (
        lambda: layers.LSTM(6, return_sequences=True, return_state=True),
        "gives 3 outputs",
    ),
    "a list is due": (layers.Add, "raised for inputs of shape"),
    "images are due": (lambda: layers.Conv2D(6, 3), "raised for inputs of shape"),
    "another width": (lambda: _built(layers.Dense(6)), "raised for inputs of shape"),
}


def _built(layer):
    layer.build((None, 7))
    return layer


@pytest.mark.parametrize("wrap", [Residual, ReZero, hyper], ids=lambda wrap: wrap.__name__)
@pytest.mark.parametrize("misfit", MISFITS)
def test_what_does_not_fit_is_refused_in_one_line_before_anything_is_built(wrap, misfit):
    make, told = MISFITS[misfit]
    layer = wrap(make())
    parts = layer._flatten_layers()
    before = [(part.built, len(part.variables)) for part in parts]
    with pytest.raises(ValueError, match=rf"^`layer` must .*\. Received: .*{told}") as caught:
        layer(random(2, 5, 6))
    assert "\n" not in str(caught.value)
    assert "\x1b" not in str(caught.value)
    assert [(part.built, len(part.variables)) for part in parts] == before


def test_a_layer_that_gives_nothing_is_refused():
    with pytest.raises(ValueError, match=r"`layer` must take one input.*which gives None$"):
        Residual(Nothing())(random(2, 5, 6))


@pytest.mark.parametrize("part", ["attention", "mlp"])
def test_a_part_of_a_block_that_does_not_fit_is_refused_before_any_is_built(part):
    given = {"attention": SelfAttention(2), "mlp": GatedMLP(4), part: layers.Dense(5)}
    block = TransformerEncoderBlock(**given)
    with pytest.raises(ValueError, match=rf"^`{part}` must keep the shape"):
        block(random(2, 5, 6))
    assert not any(each.built for each in (block, *given.values()))


@pytest.mark.parametrize(
    ("policy", "unit"), [("mixed_float16", 2.0**-11), ("mixed_bfloat16", 2.0**-8)]
)
def test_factors_of_channels_keep_their_digits_under_half_precision(policy, unit):
    """Also in the branch of a `Residual`, exactly as in a `LayerScale` at its end."""
    value, large = 3.3e-6, 3e4
    x = np.linspace(0.5, 1, 8).reshape(2, 4).astype("float32")
    x = np.asarray(ops.convert_to_numpy(ops.cast(ops.cast(x, policy[6:]), "float32")))
    branch = layers.Rescaling(large, dtype=policy)
    inside, at_end = (
        Residual(branch, scale=value, dtype=policy),
        Residual([branch, LayerScale(value, dtype=policy)], dtype=policy),
    )
    found, other = (
        ops.convert_to_numpy(ops.cast(block(x) - ops.cast(x, policy[6:]), "float32"))
        for block in (inside, at_end)
    )
    np.testing.assert_array_equal(found, other)
    due = value * large * x.astype("float64")
    assert abs(found - due).max() <= 4 * unit * abs(x).max()
