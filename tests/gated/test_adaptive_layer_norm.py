import keras
import numpy as np
import pytest
from arrays import close, random
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers, ops

from layerzoo import AdaptiveLayerNorm, GatedMLP, RotaryEmbedding, SelfAttention


def silu(z):
    return z / (1 + np.exp(-z))


def reference(x, weights, condition=None, branch=None, activation=silu, epsilon=1e-6):
    """The docstring's equation in float64, step by step; the branch is a layer of tanh, or None."""
    x = x.astype("float64")
    y = np.zeros(x.shape)
    for b, *place in np.ndindex(*x.shape[:-1]):
        step = x[(b, *place)]
        numbers = weights["bias"].copy()
        if condition is not None:
            u = condition[b] if condition.ndim == 2 else condition[(b, *place)]
            numbers += activation(u.astype("float64")) @ weights["condition/kernel"]
        normal = (step - step.mean()) / np.sqrt(step.var() + epsilon)
        shift, scale, *gate = np.split(numbers, 3 if branch else 2)
        out = (1 + scale) * normal + shift
        if branch:
            inside = np.tanh(out @ weights[f"{branch}/kernel"] + weights[f"{branch}/bias"])
            out = step + gate[0] * inside
        y[(b, *place)] = out
    return y


def branch():
    return layers.Dense(6, activation="tanh", name="inside")


def built(randomise, layer=None, inputs=(None, None, 6), condition=(None, 3), **config):
    block = AdaptiveLayerNorm(layer, **config)
    block.build(inputs, condition)
    return block, randomise(block)


@settings(max_examples=15, deadline=None, derandomize=True, database=None)
@given(
    shape=st.sampled_from([(3, 6), (2, 5, 6), (2, 3, 2, 6)]),
    condition=st.sampled_from(["none", "sample", "step"]),
    wraps=st.booleans(),
    activation=st.sampled_from(["silu", None]),
    epsilon=st.sampled_from([1e-6, 0.1]),
    seed=st.integers(0, 99),
)
def test_equals_the_reference(randomise, shape, condition, wraps, activation, epsilon, seed):
    x = random(*shape, seed=seed)
    sizes = {"none": None, "sample": (shape[0], 3), "step": (*shape[:-1], 3)}[condition]
    u = None if sizes is None else random(*sizes, seed=[seed, 1])
    block = AdaptiveLayerNorm(branch() if wraps else None, activation=activation, epsilon=epsilon)
    block.build(shape, sizes)
    weights = randomise(block, seed)
    function = silu if activation else lambda z: z
    expected = reference(x, weights, u, "inside" if wraps else None, function, epsilon)
    close(block(x, condition=u), expected)


BRANCHES = {
    "layer": lambda: layers.Dense(6),
    "list": lambda: [layers.Dense(8, activation="relu"), layers.Dropout(0.5), layers.Dense(6)],
    "recipe": lambda: SelfAttention(2),
}


@pytest.mark.parametrize("shape", [None, (2, 3), (2, 5, 3)])
@pytest.mark.parametrize("branch", BRANCHES.values(), ids=BRANCHES)
def test_it_starts_as_the_identity_and_the_gate_opens_first(branch, shape, gradients):
    block = AdaptiveLayerNorm(branch())
    x, condition = random(2, 5, 6), None if shape is None else random(*shape, seed=1)
    np.testing.assert_array_equal(ops.convert_to_numpy(block(x, condition=condition)), x)
    by_inputs, *by_weights = gradients(block, x, condition=condition)
    np.testing.assert_array_equal(by_inputs, 2 * x)
    moved = 0
    for weight, gradient in zip(block.trainable_weights, by_weights, strict=True):
        if weight.path.removeprefix(block.path) in ("/bias", "/condition/kernel"):
            *waiting, gate = np.split(gradient, 3, axis=-1)
            assert (gate != 0).all()
            moved += 1
        else:
            waiting = gradient
        assert not np.any(waiting)
    assert moved == (1 if shape is None else 2)


def test_alone_it_starts_as_the_layer_norm_exactly():
    x = random(2, 5, 6)
    norm = layers.LayerNormalization(epsilon=1e-6)
    for condition in (None, random(2, 3, seed=1)):
        y = AdaptiveLayerNorm()(x, condition=condition)
        close(y, norm(x), relative=1e-6)


def test_without_a_condition_it_is_a_branch_with_one_factor_per_feature(randomise):
    block = AdaptiveLayerNorm(branch())
    model = keras.Sequential([keras.Input((None, 6)), block])
    weights = randomise(block)
    assert sorted(weights) == ["bias", "inside/bias", "inside/kernel"]
    x = random(2, 5, 6)
    close(model(x), reference(x, weights, branch="inside"))


@pytest.mark.parametrize("zero", [True, False])
def test_zero_init_is_about_the_kernel(zero):
    block = AdaptiveLayerNorm(branch(), zero_init=zero)
    x, u = random(2, 5, 6), random(2, 3, seed=1)
    block(x, condition=u)
    assert not ops.convert_to_numpy(block.bias).any()
    assert bool(ops.convert_to_numpy(block.project.kernel).any()) != zero


@pytest.mark.parametrize("wrapped", [branch, lambda: None, lambda: [branch(), layers.Dropout(0.1)]])
@pytest.mark.parametrize("shape", [(3,), (None, 3)])
def test_it_is_saved_and_loaded_with_its_condition(randomise, tmp_path, wrapped, shape):
    inputs, condition = keras.Input((None, 6)), keras.Input(shape)
    block = AdaptiveLayerNorm(wrapped(), zero_init=False)
    model = keras.Model([inputs, condition], block(inputs, condition=condition))
    randomise(block)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    x, u = random(2, 5, 6), random(2, *(size or 5 for size in shape), seed=1)
    close(loaded([x, u]), model([x, u]), relative=0)
    assert not np.allclose(ops.convert_to_numpy(model([x, u])), x)


def test_a_mask_reaches_the_branch_and_goes_on(randomise):
    block = AdaptiveLayerNorm([layers.Dropout(0.1), SelfAttention(2)])
    tokens, condition = keras.Input((None,)), keras.Input((3,))
    x = layers.Embedding(9, 6, mask_zero=True)(tokens)
    x = block(x, condition=condition)
    model = keras.Model([tokens, condition], layers.GlobalAveragePooling1D()(x))
    randomise(block)
    given, u = np.array([[3, 1, 4, 0, 0]]), random(1, 3)
    close(model([given, u]), model([given[:, :3], u]))


@pytest.mark.parametrize("shape", [(2, 3), (2, 6, 3)])
def test_it_continues_from_a_state_with_the_condition_of_each_call(randomise, shape):
    attention = SelfAttention(2, head_dim=4, causal=True, position=RotaryEmbedding())
    block, _ = built(randomise, [attention, GatedMLP(4)], condition=(None, *shape[1:]))
    x, u = random(2, 6, 6), random(*shape, seed=1)
    whole = ops.convert_to_numpy(block(x, condition=u))
    state, first = block.get_initial_state(2, 6), 0
    for last in (3, 4, 6):
        part = u if u.ndim == 2 else u[:, first:last]
        y, state = block(x[:, first:last], condition=part, initial_state=state, return_state=True)
        close(y, whole[:, first:last])
        first = last


def test_training_and_losses_pass_through(randomise):
    block, _ = built(
        randomise,
        [layers.Dropout(0.5, seed=1), layers.ActivityRegularization(l2=0.1)],
        condition=None,
    )
    x = random(20, 4, 6)
    still = ops.convert_to_numpy(block(x))
    assert len(block.losses) == 1
    assert not np.allclose(ops.convert_to_numpy(block(x, training=True)), still)


def test_half_precision_stays_half():
    block = AdaptiveLayerNorm(layers.Dense(6, dtype="mixed_float16"), dtype="mixed_float16")
    x, u = random(2, 5, 6), random(2, 3, seed=1)
    y = block(x, condition=u)
    assert keras.backend.standardize_dtype(y.dtype) == "float16"
    np.testing.assert_array_equal(ops.convert_to_numpy(y), x.astype("float16"))


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("shape", [(2,), (3, 3), (1, 3), (2, 4, 3), (2, 1, 3), (2, 5, 1, 3)])
def test_a_condition_of_another_batch_or_rank_is_refused(randomise, when, shape):
    block = built(randomise, branch())[0] if when == "after" else AdaptiveLayerNorm(branch())
    told = r"`condition` must have shape \(batch, width\).*Received: condition of shape \(.*, inputs of"
    with pytest.raises(ValueError, match=told):
        block(random(2, 5, 6), condition=random(*shape))
    assert block.built == (when == "after")
    assert bool(block.variables) == block.layer.built == (when == "after")


def test_what_the_layer_was_not_built_for_is_refused(randomise):
    alone, _ = built(randomise, branch(), condition=None)
    with pytest.raises(ValueError, match=r"`condition` must be passed to the first call.*without"):
        alone(random(2, 5, 6), condition=random(2, 3))
    block, _ = built(randomise, branch())
    with pytest.raises(ValueError, match=r"`condition` must have the width .*built for 3"):
        block(random(2, 5, 6), condition=random(2, 4))
    with pytest.raises(TypeError, match=r"`condition` must be a tensor or None\. Received: cond"):
        block(random(2, 5, 6), condition=[[1.0]])


@pytest.mark.parametrize(
    ("inside", "told"),
    [
        (lambda: layers.Dense(5), "`layer` must keep the shape"),
        (lambda: layers.Dense(1), "`layer` must keep the shape"),
        (lambda: layers.MultiHeadAttention(2, 4), "`layer` must take one input"),
    ],
)
def test_a_branch_that_does_not_fit_is_refused(inside, told):
    block = AdaptiveLayerNorm(inside())
    with pytest.raises(ValueError, match=told):
        block(random(2, 5, 6), condition=random(2, 3))
    assert not block.built
