import keras
import numpy as np
import pytest
from arrays import close, random
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers, ops

from layerzoo import GatedMLP, HyperConnections, Residual, SelfAttention


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def reference(x, weights, branch, num_streams, constrained, enter, leave, epsilon):
    """The docstring's equations in float64, step by step and stream by stream."""
    n, s = num_streams, weights["scales"]
    read, write, mix = np.split(weights["offsets"], [n, 2 * n])
    if enter:
        x = np.stack([x] * n, axis=-2)
    y = np.zeros(x.shape)
    for place in np.ndindex(x.shape[:-2]):
        streams = x[place]
        flat = streams.ravel()
        scores = flat / np.sqrt(np.mean(flat**2) + epsilon) @ weights["project/kernel"]
        scores = scores if constrained else np.tanh(scores)
        a = s[0] * scores[:n] + read
        b = s[1] * scores[n : 2 * n] + write
        c = s[2] * scores[2 * n :].reshape(n, n) + mix.reshape(n, n)
        if constrained:
            a, b, c = sigmoid(a), 2 * sigmoid(b), np.exp(c)
            for _ in range(20):
                c = c / c.sum(axis=1, keepdims=True)
                c = c / c.sum(axis=0, keepdims=True)
        branched = branch(sum(a[j] * streams[j] for j in range(n)))
        for k in range(n):
            y[place][k] = sum(c[j, k] * streams[j] for j in range(n)) + b[k] * branched
    return y.mean(axis=-2) if leave else y


def dense():
    return layers.Dense(6, activation="tanh", name="dense")


@settings(max_examples=20, deadline=None, derandomize=True, database=None)
@given(
    lead=st.sampled_from([(3,), (2, 4), (2, 3, 2)]),
    num_streams=st.sampled_from([2, 4]),
    constrained=st.booleans(),
    enter=st.booleans(),
    leave=st.booleans(),
    epsilon=st.sampled_from([1e-6, 0.1]),
    seed=st.integers(0, 99),
)
def test_equals_the_reference(randomise, lead, num_streams, seed, **config):
    layer = HyperConnections(dense(), num_streams, **config)
    shape = (*lead, 6) if config["enter"] else (*lead, num_streams, 6)
    x = random(*shape, seed=seed)
    layer.build(x.shape)
    weights = randomise(layer, seed)

    def branch(z):
        return np.tanh(z @ weights["dense/kernel"] + weights["dense/bias"])

    expected = reference(x, weights, branch, num_streams, **config)
    assert layer.compute_output_shape(x.shape) == expected.shape
    close(layer(x), expected)


def stack(num_streams=3, constrained=True):
    """Four branches, and the same in plain residual connections."""
    branches = [SelfAttention(2), GatedMLP(5), SelfAttention(2, causal=True), dense()]
    blocks = [
        HyperConnections(branch, num_streams, constrained, enter=i == 0, leave=i == 3)
        for i, branch in enumerate(branches)
    ]
    return blocks, [Residual(branch) for branch in branches]


@pytest.mark.parametrize("constrained", [True, False])
def test_a_stack_starts_as_plain_residual_connections_and_learns_to_differ(constrained):
    blocks, plain = stack(constrained=constrained)
    model, residual = (keras.Sequential([keras.Input((5, 6)), *each]) for each in (blocks, plain))
    x, y = random(8, 5, 6), random(8, 5, 6, seed=1)
    close(model(x), residual(x), relative=1e-5)

    model.compile(keras.optimizers.Adam(0.01), "mse")
    model.fit(x, y, epochs=3, verbose=0)
    for block in blocks:
        assert ops.convert_to_numpy(block.scales).any()
    streams = ops.convert_to_numpy(blocks[1](blocks[0](x)))
    assert abs(streams[..., 0, :] - streams[..., 1, :]).max() > 1e-4


def test_what_mixes_the_streams_is_doubly_stochastic_if_constrained(randomise):
    layer = HyperConnections(dense(), 4)
    x = random(50, 4, 6)
    layer(x)
    randomise(layer)
    # with a branch that gives zeros, the sum over the streams is kept, and their largest number not passed
    for weight in layer.layer.weights:
        weight.assign(np.zeros(weight.shape))
    y = ops.convert_to_numpy(layer(x))
    close(y.sum(axis=1), x.sum(axis=1), relative=1e-4)
    assert (abs(y).max(axis=1) <= abs(x).max(axis=1) * 1.01).all()
    free = HyperConnections(layer.layer, 4, constrained=False)
    free(x)
    for weight, value in zip(free.weights, layer.get_weights(), strict=True):
        weight.assign(value)
    y = ops.convert_to_numpy(free(x))
    assert abs(y.sum(axis=1) - x.sum(axis=1)).max() > 0.1


def test_sixty_four_constrained_mixings_do_not_blow_up(randomise):
    x = random(20, 3, 6)
    gains = {}
    for constrained in (True, False):
        y = x
        for seed in range(64):
            layer = HyperConnections(layers.Rescaling(0.0), 3, constrained)
            layer.build(y.shape)
            randomise(layer, seed)
            if not constrained:
                layer.offsets.assign(
                    layer.offsets + np.concatenate([np.zeros(6), np.eye(3).ravel()])
                )
            y = ops.convert_to_numpy(layer(y))
        gains[constrained] = abs(y).max() / abs(x).max()
    assert gains[True] < 1.1
    assert gains[False] > 50


WRAPPED = {
    "layer": dense,
    "list": lambda: [layers.LayerNormalization(), layers.Dropout(0.5), dense()],
    "Sequential": lambda: keras.Sequential([layers.Dense(5, activation="tanh"), layers.Dense(6)]),
    "nested": lambda: Residual([GatedMLP(3)], norm="pre"),
}


@pytest.mark.parametrize("wrapped", WRAPPED.values(), ids=WRAPPED)
def test_it_is_saved_and_loaded(tmp_path, wrapped):
    layer = HyperConnections(wrapped(), 2, enter=True)
    model = keras.Sequential([keras.Input((5, 6)), layer])
    layer.scales.assign([1.0, 2.0, 3.0])
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    x = random(2, 5, 6)
    close(loaded(x), model(x), relative=0)
    assert loaded.layers[0].num_streams == 2


def test_the_mask_goes_in_with_the_input_and_out_with_the_mean():
    blocks, _ = stack()
    embedding, pooling = layers.Embedding(9, 6, mask_zero=True), layers.GlobalAveragePooling1D()
    model = keras.Sequential([keras.Input((None,)), embedding, *blocks, pooling])
    for i, block in enumerate(blocks):
        block.scales.assign([1.0 + i, 2.0, 3.0])
    close(model(np.array([[3, 1, 4, 0, 0]])), model(np.array([[3, 1, 4]])))


def test_a_frozen_backbone_stays_and_training_and_losses_pass_through():
    backbone = keras.Sequential([layers.Dense(6), layers.Dropout(1.0)])
    backbone.trainable = False
    layer = HyperConnections(
        [backbone, layers.ActivityRegularization(l2=0.1)], 2, enter=True, leave=True
    )
    x = random(4, 6)
    layer(x)
    assert len(layer.losses) == 1
    assert {weight.path.rpartition("/")[2] for weight in layer.trainable_weights} == {
        "kernel",
        "scales",
        "offsets",
    }
    close(layer(x, training=True), x)
    assert not np.allclose(ops.convert_to_numpy(layer(x)), x, atol=1e-3)


@pytest.mark.parametrize(
    ("branch", "told"),
    [
        (lambda: layers.Dense(5), r"`layer` must keep the shape.*output_shape=\(2, 5, 5\)"),
        (lambda: layers.Conv1D(6, 3, strides=2), "`layer` must keep the shape"),
        (
            lambda: layers.MultiHeadAttention(2, 4),
            "`layer` must take one input and give one output",
        ),
        (lambda: layers.LSTM(6, return_sequences=True, return_state=True), "give one output"),
    ],
)
def test_a_branch_that_does_not_fit_is_refused(branch, told):
    layer = HyperConnections(branch(), 3)
    with pytest.raises(ValueError, match=told):
        layer(random(2, 5, 3, 6))
    assert not layer.built


@pytest.mark.parametrize("shape", [(2, 5, 6), (2, 4, 5, 6)])
def test_another_number_of_streams_is_refused(shape):
    layer = HyperConnections(dense(), 3)
    with pytest.raises(ValueError, match=r"must have `num_streams` streams.*num_streams=3"):
        layer(random(*shape))
    assert not layer.built


def test_a_branch_that_shortens_is_refused_when_it_is_called():
    block = HyperConnections(layers.Conv1D(6, 3), 2, enter=True)
    model = keras.Sequential([keras.Input((None, 6)), block])
    with pytest.raises(ValueError, match="`layer` must keep the shape"):
        model(random(2, 3, 6))
