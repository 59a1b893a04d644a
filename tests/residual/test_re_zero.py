import keras
import numpy as np
import pytest
from arrays import close, random
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers, ops

from layerzoo import DropPath, GatedMLP, ReZero, SelfAttention


def reference(x, weights, widths):
    """The docstring's equation in float64, the branch being tanh layers of some widths."""
    branch = x
    for i in range(len(widths)):
        branch = np.tanh(branch @ weights[f"dense_{i}/kernel"] + weights[f"dense_{i}/bias"])
    return x + weights["alpha"] * branch


def dense(*widths):
    return [layers.Dense(w, activation="tanh", name=f"dense_{i}") for i, w in enumerate(widths)]


@settings(max_examples=20, deadline=None, derandomize=True, database=None)
@given(
    shape=st.sampled_from([(3, 6), (2, 5, 6), (2, 3, 4, 6)]),
    widths=st.sampled_from([(6,), (8, 6)]),
    as_list=st.booleans(),
    seed=st.integers(0, 99),
)
def test_equals_the_reference(randomise, shape, widths, as_list, seed):
    chain = dense(*widths)
    layer = ReZero(chain if as_list or len(chain) > 1 else chain[0])
    layer.build((None, *shape[1:]))
    weights = randomise(layer, seed)
    x = random(*shape, seed=seed)
    close(layer(x), reference(x, weights, widths))


BRANCHES = {
    "layer": lambda: layers.Dense(6),
    "list": lambda: [layers.Dense(8, activation="relu"), layers.Dropout(0.5), layers.Dense(6)],
    "recipe": lambda: SelfAttention(2),
    "nested": lambda: ReZero([GatedMLP(3), DropPath(0.5)], init_value=0.5),
    "Sequential": lambda: keras.Sequential([layers.Dense(5, activation="tanh"), layers.Dense(6)]),
    "batch norm": lambda: [layers.Conv1D(6, 3, padding="same"), layers.BatchNormalization()],
}


@pytest.mark.parametrize("branch", BRANCHES.values(), ids=BRANCHES)
def test_it_starts_as_the_identity_and_a_gradient_moves_it_off(branch, gradients):
    layer = ReZero(branch())
    x = random(2, 5, 6)
    np.testing.assert_array_equal(ops.convert_to_numpy(layer(x)), x)
    by_inputs, *by_weights = gradients(layer, x)
    np.testing.assert_array_equal(by_inputs, 2 * x)
    moved = [
        weight.path
        for weight, gradient in zip(layer.trainable_weights, by_weights, strict=True)
        if gradient.any()
    ]
    assert moved == [layer.alpha.path]  # the branch waits for it


@pytest.mark.parametrize("branch", BRANCHES.values(), ids=BRANCHES)
def test_it_is_saved_and_loaded(tmp_path, branch):
    model = keras.Sequential([keras.Input((5, 6)), ReZero(branch(), init_value=0.5)])
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    x = random(2, 5, 6)
    close(loaded(x), model(x), relative=0)
    assert not np.allclose(ops.convert_to_numpy(model(x)), x)


def test_fit_moves_alpha_first_and_a_frozen_backbone_never():
    backbone = keras.Sequential([layers.Dense(8, activation="relu"), layers.Dense(6)])
    backbone.trainable = False
    block = ReZero(backbone)
    model = keras.Sequential([keras.Input((6,)), block])
    before = [ops.convert_to_numpy(weight) for weight in backbone.weights]
    model.compile(keras.optimizers.SGD(0.1), "mse")
    model.fit(random(8, 6), random(8, 6, seed=1), verbose=0)
    assert [weight.path for weight in block.trainable_weights] == [block.alpha.path]
    assert float(ops.convert_to_numpy(block.alpha)) != 0
    for weight, value in zip(backbone.weights, before, strict=True):
        np.testing.assert_array_equal(ops.convert_to_numpy(weight), value)


def test_training_and_losses_pass_through():
    block = ReZero(
        [layers.Dropout(0.5, seed=1), layers.ActivityRegularization(l2=0.1)], init_value=1.0
    )
    x = random(20, 6)
    close(block(x), 2 * x)
    assert len(block.losses) == 1
    ratio = ops.convert_to_numpy(block(x, training=True)) / x
    np.testing.assert_allclose(np.unique(ratio.round(3)), [1, 3])


def test_a_mask_reaches_the_branch_and_goes_on():
    attention = SelfAttention(2)
    model = keras.Sequential(
        [
            keras.Input((None,)),
            layers.Embedding(9, 6, mask_zero=True),
            ReZero([layers.Dropout(0.1), attention], init_value=1.0),
            layers.GlobalAveragePooling1D(),
        ]
    )
    tokens = np.array([[3, 1, 4, 0, 0]])
    close(model(tokens), model(tokens[:, :3]))


@pytest.mark.parametrize(
    ("branch", "told"),
    [
        (
            lambda: layers.Dense(5),
            r"`layer` must keep the shape.*\(2, 5, 6\), output_shape=\(2, 5, 5",
        ),
        (lambda: layers.Dense(1), "`layer` must keep the shape"),
        (lambda: layers.Conv1D(6, 3, strides=2), "`layer` must keep the shape"),
        (lambda: layers.Flatten(), "`layer` must keep the shape"),
        (
            lambda: layers.MultiHeadAttention(2, 4),
            "`layer` must take one input and give one output",
        ),
        (lambda: layers.LSTM(6, return_sequences=True, return_state=True), "give one output"),
    ],
)
def test_a_branch_that_does_not_fit_is_refused(branch, told):
    layer = ReZero(branch())
    with pytest.raises(ValueError, match=told):
        layer(random(2, 5, 6))
    assert not layer.built


@pytest.mark.parametrize("length", [6, 3], ids=["other", "broadcast"])
def test_a_branch_that_shortens_is_refused_when_it_is_called(length):
    model = keras.Sequential([keras.Input((None, 8)), ReZero(layers.Conv1D(8, 3))])
    with pytest.raises(ValueError, match="`layer` must keep the shape"):
        model(random(2, length, 8))


def test_channels_first_masks_have_the_axes_of_the_image():
    block = ReZero(layers.Permute((1, 2, 3)), init_value=1.0, data_format="channels_first")
    x = random(2, 3, 4, 5)
    close(block(x, mask=np.ones((2, 4, 5), bool)), 2 * x)
    with pytest.raises(ValueError, match="`mask` must"):
        block(x, mask=np.ones((2, 3, 4), bool))


def test_the_factor_keeps_its_digits_under_half_precision():
    block = ReZero(layers.Rescaling(3e4, dtype="float16"), 1e-7, dtype="mixed_float16")
    x = np.full((1, 4), 2.0**-6, "float32")
    y = ops.convert_to_numpy(ops.cast(block(x), "float32"))
    assert block.alpha.dtype == "float32"
    np.testing.assert_allclose(y, x * (1 + 3e-3), rtol=2.0**-11)
    assert np.float16(1e-7) * 3e4 > 1.1 * 3e-3  # what a factor in float16 gives


def test_a_stack_of_sixty_four_starts_as_the_identity():
    blocks = [ReZero(layers.Dense(6, activation="relu")) for _ in range(64)]
    model = keras.Sequential([keras.Input((6,)), *blocks])
    x = random(3, 6)
    np.testing.assert_array_equal(ops.convert_to_numpy(model(x)), x)
