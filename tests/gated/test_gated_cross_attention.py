import math

import keras
import numpy as np
import pytest
from arrays import close, random
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers, ops

from layerzoo import CrossAttention, GatedCrossAttention

ACTIVATIONS = {
    "gelu": np.vectorize(lambda z: z / 2 * (1 + math.erf(z / math.sqrt(2)))),
    "relu": lambda z: np.maximum(z, 0),
}


def reference(x, c, weights, heads, activation="gelu", epsilon=1e-5, context_mask=None):
    """Figure 4 of the paper, one query and one head at a time, in float64."""

    def linear(name, z):
        return z @ weights[f"{name}/kernel"] + weights.get(f"{name}/bias", 0)

    def norm(name, z):
        z = (z - z.mean(-1, keepdims=True)) / np.sqrt(z.var(-1, keepdims=True) + epsilon)
        return z * weights[f"{name}/gamma"] + weights[f"{name}/beta"]

    x, c = x.astype("float64"), c.astype("float64")
    query = np.split(linear("attention/query", norm("attention_norm", x)), heads, axis=-1)
    pairs = np.split(linear("attention/key_value", c), heads, axis=-1)
    attended = np.zeros((heads, *query[0].shape))
    for n, b, t in np.ndindex(heads, *x.shape[:2]):
        key, value = np.split(pairs[n][b], 2, axis=-1)
        score = key @ query[n][b, t] / math.sqrt(key.shape[-1])
        score = np.exp(score - score.max()) * (1 if context_mask is None else context_mask[b])
        attended[n, b, t] = score @ value / score.sum()
    z = x + np.tanh(weights["alpha"]) * linear("attention/output", np.concatenate(attended, -1))
    hidden = ACTIVATIONS[activation](linear("expand", norm("expand_norm", z)))
    return z + np.tanh(weights["beta"]) * linear("contract", hidden)


def built(randomise, seed=0, context=(None, None, 5), **config):
    layer = GatedCrossAttention(**{"num_heads": 2, **config})
    layer.build((None, None, 6), context)
    return layer, randomise(layer, seed)


@settings(max_examples=8, deadline=None, derandomize=True, database=None)
@given(
    heads=st.sampled_from([2, 3]),
    head_dim=st.sampled_from([None, 4]),
    hidden_dim=st.sampled_from([None, 7]),
    activation=st.sampled_from(list(ACTIVATIONS)),
    epsilon=st.sampled_from([1e-5, 0.1]),
    use_bias=st.booleans(),
    masked=st.booleans(),
)
def test_equals_the_reference(
    randomise, heads, head_dim, hidden_dim, activation, epsilon, use_bias, masked
):
    config = dict(head_dim=head_dim, hidden_dim=hidden_dim, activation=activation)
    layer, weights = built(randomise, num_heads=heads, epsilon=epsilon, use_bias=use_bias, **config)
    x, c = random(2, 4, 6), random(2, 3, 5, seed=1)
    mask = np.array([[1, 1, 0], [0, 1, 1]], bool) if masked else None
    expected = reference(x, c, weights, heads, activation, epsilon, mask)
    close(layer(x, context=c, context_mask=mask), expected)


@pytest.mark.parametrize("policy", ["float32", "mixed_float16"])
def test_a_new_block_is_the_identity_and_a_gradient_opens_both_gates(gradients, policy):
    layer = GatedCrossAttention(2, dtype=policy)
    x, c = random(2, 4, 6), random(2, 3, 5, seed=1)
    found = ops.convert_to_numpy(ops.cast(layer(x, context=c), "float32"))
    exact = ops.convert_to_numpy(ops.cast(ops.cast(x, layer.compute_dtype), "float32"))
    np.testing.assert_array_equal(found, exact)
    if policy == "float32":
        _, *by_weights = gradients(layer, x, context=ops.convert_to_tensor(c))
        paths = [weight.path.rpartition("/")[2] for weight in layer.trainable_weights]
        moved = {n for n, g in zip(paths, by_weights, strict=True) if np.abs(g).max() > 0}
        assert moved == {"alpha", "beta"}


@pytest.mark.parametrize("gate", ["alpha", "beta"])
def test_each_gate_opens_its_own_branch(randomise, gate):
    layer, weights = built(randomise)
    for name in {"alpha", "beta"} - {gate}:
        getattr(layer, name).assign(0.0)
        weights[name] = 0.0
    x, c = random(2, 4, 6), random(2, 3, 5, seed=1)
    close(layer(x, context=c), reference(x, c, weights, 2))
    assert np.abs(ops.convert_to_numpy(layer(x, context=c)) - x).max() > 0.1


def test_the_attention_is_the_recipe_with_its_options(randomise):
    options = dict(num_key_value_heads=1, head_dim=4, qk_norm=True, use_bias=False)
    layer, _ = built(randomise, **options)
    alone = CrossAttention(2, **options)
    alone.build((None, None, 6), (None, None, 5))
    alone.set_weights(layer.attention.get_weights())
    layer.beta.assign(0.0)
    layer.alpha.assign(20.0)
    x, c = random(2, 4, 6), random(2, 3, 5, seed=1)
    normed = layer.attention_norm(x)
    close(layer(x, context=c), x + ops.convert_to_numpy(alone(normed, context=c)))


def test_without_a_context_the_sequence_reads_itself(randomise):
    layer, _ = built(randomise, context=None)
    x = random(2, 4, 6)
    normed = ops.convert_to_numpy(layer.attention_norm(x))
    model = keras.Sequential([keras.Input((None, 6)), layer])
    close(model(x), ops.convert_to_numpy(layer(x, context=normed)))


def test_a_context_is_read_once_and_kept_in_the_state(randomise):
    layer, _ = built(randomise)
    x, c = random(2, 4, 6), random(2, 3, 5, seed=1)
    mask = np.array([[1, 1, 0], [0, 1, 1]], bool)
    whole = ops.convert_to_numpy(layer(x, context=c, context_mask=mask))
    state = layer.get_initial_state(2)
    first, state = layer(
        x[:, :2], context=c, context_mask=mask, initial_state=state, return_state=True
    )
    last, _ = layer(x[:, 2:], initial_state=state, return_state=True)
    close(ops.concatenate([first, last], axis=1), whole)


@pytest.mark.parametrize(
    ("given", "rule"),
    [
        (dict(context=(3, 3, 5)), "`context` must have as many samples as the inputs"),
        (dict(context=(2, 5)), "`context` must have three axes"),
        (dict(context=(2, 3, 5), context_mask=(2, 4)), "`context_mask` must be boolean"),
        (dict(context_mask=(2, 4)), "`context_mask` needs a `context`"),
        (dict(context=(2, 3, 5), mask=(2, 3)), "`mask` must be boolean"),
        (dict(initial_state={"cross": {}}), "`initial_state` must be a dict of attention"),
    ],
)
def test_what_does_not_fit_is_refused_by_its_name(given, rule):
    layer = GatedCrossAttention(2)
    given = {
        name: value if isinstance(value, dict) else np.ones(value, "float32")
        for name, value in given.items()
    }
    with pytest.raises(ValueError, match=rf"{rule}.*Received: "):
        layer(random(2, 4, 6), **given)


def test_a_frozen_model_with_a_block_is_saved_and_learns(tmp_path):
    text, image = keras.Input((None, 6)), keras.Input((None, 5))
    before, after = layers.Dense(6, trainable=False), layers.Dense(1, trainable=False)
    block = GatedCrossAttention(2)
    model = keras.Model([text, image], after(block(before(text), context=image)))
    x, c = random(4, 3, 6), random(4, 2, 5, seed=1)
    close(model([x, c]), ops.convert_to_numpy(after(before(x))), relative=0)
    model.compile("adam", "mse")
    model.fit([x, c], random(4, 3, 1, seed=2), verbose=0)
    assert all(abs(float(ops.convert_to_numpy(gate))) > 0 for gate in (block.alpha, block.beta))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    close(loaded([x, c]), ops.convert_to_numpy(model([x, c])), relative=0)
