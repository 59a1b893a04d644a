import copy
import functools
import json

import keras
import numpy as np
import pytest
from arrays import close, random
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers, ops

from layerzoo import DropPath, GatedMLP, Residual, RotaryEmbedding, SelfAttention


def reference(x, weights, widths, norm=None, scale=None, epsilon=1e-5):
    """The docstring's four equations in float64, the branch being tanh layers of some widths."""

    def normalised(z, name):
        mean, variance = z.mean(axis=-1, keepdims=True), z.var(axis=-1, keepdims=True)
        z = (z - mean) / np.sqrt(variance + epsilon)
        return z * weights[f"{name}/gamma"] + weights[f"{name}/beta"]

    branch = normalised(x, "norm_in") if norm in ("pre", "sandwich") else x
    for i in range(len(widths)):
        branch = np.tanh(branch @ weights[f"dense_{i}/kernel"] + weights[f"dense_{i}/bias"])
    if norm == "sandwich":
        branch = normalised(branch, "norm_out")
    if scale is not None:
        branch = weights["gamma"] * branch
    shortcut = x if widths[-1] == x.shape[-1] else x @ weights["project/kernel"]
    return normalised(shortcut + branch, "norm_out") if norm == "post" else shortcut + branch


def dense(*widths):
    return [layers.Dense(w, activation="tanh", name=f"dense_{i}") for i, w in enumerate(widths)]


@settings(max_examples=25, deadline=None, derandomize=True, database=None)
@given(
    shape=st.sampled_from([(3, 6), (2, 5, 6)]),
    widths=st.sampled_from([(6,), (8, 6), (4,), (8, 3)]),
    as_list=st.booleans(),
    norm=st.sampled_from([None, "pre", "post", "sandwich"]),
    scale=st.sampled_from([None, 0.1]),
    epsilon=st.sampled_from([1e-5, 0.1]),
    seed=st.integers(0, 99),
)
def test_equals_the_reference(randomise, shape, widths, as_list, seed, **config):
    chain = dense(*widths)
    layer = Residual(chain if as_list or len(chain) > 1 else chain[0], **config)
    x = random(*shape, seed=seed)
    layer.build((None, *shape[1:]))
    weights = randomise(layer, seed)
    expected = reference(x, weights, widths, **config)
    assert layer.compute_output_shape(x.shape) == expected.shape
    close(layer(x), expected)


def test_scale_is_where_the_factor_starts():
    x = random(3, 6)
    (branch,) = dense(6)
    close(Residual(branch, scale=1e-3)(x), x + 1e-3 * ops.convert_to_numpy(branch(x)))


def test_a_dropped_branch_leaves_the_shortcut():
    x = random(40, 6)
    layer = Residual(dense(6), drop_path=0.5, seed=1)
    always = ops.convert_to_numpy(layer(x))
    dropped = ops.convert_to_numpy(layer(x, training=True))
    kept = (dropped != x).any(axis=1)
    assert 8 < kept.sum() < 32
    np.testing.assert_array_equal(dropped[~kept], x[~kept])
    close(dropped[kept], (x + (always - x) / 0.5)[kept])


def test_training_reaches_a_wrapped_dropout():
    x = random(20, 6)
    layer = Residual(layers.Dropout(0.5, seed=1))
    close(layer(x), 2 * x)
    y = ops.convert_to_numpy(layer(x, training=True))
    ratio = y / x
    np.testing.assert_allclose(np.unique(ratio.round(3)), [1, 3])


@pytest.mark.parametrize("chain", [False, True], ids=["layer", "list"])
def test_an_explicit_mask_reaches_a_wrapped_layer(chain):
    attention = SelfAttention(2)
    layer = Residual([layers.Dropout(0.5), attention] if chain else attention)
    x, mask = random(2, 5, 6), np.array([[1, 1, 1, 0, 0], [0, 1, 1, 1, 1]], bool)
    close(layer(x, mask=mask), x + ops.convert_to_numpy(attention(x, mask=mask)))
    assert not np.allclose(ops.convert_to_numpy(layer(x, mask=mask) - layer(x))[mask], 0)


def test_a_mask_of_keras_reaches_a_wrapped_layer_and_goes_on():
    x = random(2, 5, 6)
    x[0, 3:] = 0
    mask = x.any(axis=-1)
    block = Residual(SelfAttention(2), norm="pre")
    after = layers.GlobalAveragePooling1D()
    model = keras.Sequential([keras.Input((None, 6)), layers.Masking(), block, after])
    steps = ops.convert_to_numpy(block(x, mask=mask))
    expected = [steps[b][mask[b]].mean(axis=0) for b in range(2)]
    close(model.predict(x, verbose=0), np.stack(expected))


def test_the_mask_of_an_embedding_reaches_a_nested_block():
    attention = SelfAttention(2)
    embedding = layers.Embedding(9, 6, mask_zero=True)
    block = Residual([Residual(attention), layers.Dropout(0.1)], norm="post")
    model = keras.Sequential([keras.Input((None,)), embedding, block])
    tokens = np.array([[3, 1, 4, 0, 0], [1, 5, 0, 2, 6]])
    x = ops.convert_to_numpy(embedding(tokens))
    close(model(tokens), block(x, mask=tokens != 0))
    assert not np.allclose(
        ops.convert_to_numpy(model(tokens))[tokens != 0],
        ops.convert_to_numpy(block(x))[tokens != 0],
        atol=1e-4,
    )


def test_the_inputs_gradient_flows_through_shortcut_and_branch(randomise, gradients):
    layer = Residual(dense(6), norm="pre", scale=0.5)
    x = random(3, 6)
    layer(x)
    randomise(layer)
    found = gradients(layer, x)
    assert len(found) == 1 + len(layer.trainable_weights)
    assert all(gradient.any() for gradient in found)
    step = 1e-2 * random(3, 6, seed=1)
    up, down = (np.square(ops.convert_to_numpy(layer(x + s * step))).sum() for s in (1, -1))
    np.testing.assert_allclose((up - down) / 2, (found[0] * step).sum(), rtol=2e-3)


WRAPPED = {
    "layer": lambda: layers.Dense(6, activation="tanh"),
    "list": lambda: [layers.Dense(8, activation="relu"), layers.Dense(4)],
    "tuple": lambda: (layers.Dropout(0.5), layers.Dense(4)),
    "recipe": lambda: SelfAttention(2, position=RotaryEmbedding(base=50.0), head_dim=4),
    "nested": lambda: Residual([GatedMLP(3, activation=layers.PReLU()), DropPath(0.5)], norm="pre"),
}


@pytest.mark.parametrize("wrapped", WRAPPED.values(), ids=WRAPPED)
def test_it_is_saved_and_loaded_without_custom_objects(randomise, tmp_path, wrapped):
    layer = Residual(wrapped(), norm="sandwich", scale=0.5, drop_path=0.2, epsilon=1e-2, seed=3)
    model = keras.Sequential([keras.Input((5, 6)), layer])
    randomise(layer)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    x = random(2, 5, 6)
    close(loaded(x), model(x), relative=0)
    assert loaded.layers[0].get_config() == layer.get_config()


@pytest.mark.parametrize("wrapped", WRAPPED.values(), ids=WRAPPED)
def test_a_copy_made_from_the_config_is_unbuilt_and_fits_another_width(wrapped):
    layer = Residual(wrapped(), norm="post")
    before = json.dumps(layer.get_config())
    layer(random(2, 5, 6))
    assert json.dumps(layer.get_config()) == before

    config = json.loads(before)
    untouched = copy.deepcopy(config)
    revived = Residual.from_config(config)
    assert config == untouched
    assert not revived.weights
    assert revived(random(2, 5, 8)).shape[:-1] == (2, 5)


@pytest.mark.parametrize(
    "branch",
    [
        lambda: layers.Conv1D(6, 3, strides=2),
        lambda: [layers.Dense(6), layers.GlobalAveragePooling1D()],
        lambda: layers.Flatten(),
        lambda: layers.UpSampling1D(2),
    ],
)
def test_a_branch_that_changes_the_time_axis_is_refused(branch):
    layer = Residual(branch())
    with pytest.raises(
        ValueError, match=r"keep every axis except that of the channels.*Received: input_shape=\(2"
    ):
        layer(random(2, 5, 6))
    assert not layer.built


def two_convolutions(data_format, filters=4):
    make = functools.partial(layers.Conv2D, kernel_size=3, padding="same", data_format=data_format)
    return [make(8, activation="tanh"), make(filters)]


@pytest.mark.parametrize("norm", [None, "pre", "post", "sandwich"])
@pytest.mark.parametrize("filters", [4, 7], ids=["kept", "widened"])
def test_channels_first_is_channels_last_transposed(randomise, norm, filters):
    if keras.backend.backend() == "tensorflow":
        pytest.skip("TensorFlow has no channels-first convolution on a CPU")
    last, first = (
        Residual(two_convolutions(data_format, filters), norm=norm, scale=0.5)
        for data_format in ("channels_last", "channels_first")
    )
    assert (last.data_format, first.data_format) == ("channels_last", "channels_first")
    x = random(2, 5, 6, 4)
    turned = np.moveaxis(x, -1, 1)
    last.build(x.shape)
    first.build(turned.shape)
    randomise(last)
    first.set_weights(last.get_weights())
    close(first(turned), np.moveaxis(ops.convert_to_numpy(last(x)), -1, 1))


def test_channels_first_norm_scale_and_projection_are_over_channels():
    layer = Residual(layers.Permute((1, 2, 3)), norm="pre", scale=0.0, data_format="channels_first")
    x = random(2, 4, 6, 5)
    close(layer(x), x)
    assert [tuple(weight.shape) for weight in layer.weights] == [(4,)] * 3


def test_it_takes_the_data_format_of_what_it_wraps():
    inside = keras.Sequential([layers.Conv2D(4, 3, data_format="channels_first")])
    assert Residual([layers.ReLU(), inside]).data_format == "channels_first"
    assert Residual(Residual(inside)).data_format == "channels_first"
    assert Residual(layers.Dense(4)).data_format == "channels_last"
    mixed = [inside, layers.Conv2D(4, 3, data_format="channels_last")]
    with pytest.raises(ValueError, match=r"one `data_format`.*channels_first and channels_last"):
        Residual(mixed)
    assert Residual(mixed, data_format="channels_last").data_format == "channels_last"


def test_scale_may_start_at_zero(gradients):
    layer = Residual(dense(6), scale=0.0)
    x = random(3, 6)
    np.testing.assert_array_equal(ops.convert_to_numpy(layer(x)), x)
    by_gamma = gradients(layer, x)[1]
    assert by_gamma.any()


@pytest.mark.parametrize(
    "branch",
    [
        lambda: layers.MultiHeadAttention(2, 4),
        lambda: layers.LSTM(6, return_sequences=True, return_state=True),
        lambda: [layers.Dense(6), layers.LSTM(6, return_sequences=True, return_state=True)],
        lambda: layers.Attention(),
        lambda: layers.Add(),
        lambda: layers.Bidirectional(layers.LSTM(3, return_state=True)),
    ],
)
def test_a_branch_of_two_inputs_or_outputs_is_refused(branch):
    layer = Residual(branch())
    with pytest.raises(ValueError, match="`layer` must take one input and give one output"):
        layer(random(2, 5, 6))
    assert not layer.built


@pytest.mark.parametrize("length", [6, 3], ids=["other", "broadcast"])
def test_a_branch_that_shortens_is_refused_when_it_is_called(length):
    model = keras.Sequential([keras.Input((None, 8)), Residual(layers.Conv1D(8, 3))])
    x = random(2, length, 8)
    with pytest.raises(ValueError, match="`layer` must keep every axis"):
        model(x)
    with pytest.raises(ValueError, match="`layer` must keep every axis"):
        model.predict(x, verbose=0)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        unknown = tf.function(model, input_signature=[tf.TensorSpec((None, None, 8))])
        with pytest.raises(tf.errors.InvalidArgumentError, match="`layer` must keep every axis"):
            unknown(x)
