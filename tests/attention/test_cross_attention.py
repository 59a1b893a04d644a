import keras
import numpy as np
import pytest
from arrays import close, random
from keras import layers, ops

from layerzoo import CrossAttention, RotaryEmbedding


def rotated(vector, position):
    """A head's two halves as complex numbers, multiplied by `exp(i angle)`."""
    half = len(vector) // 2
    angles = position * 10_000.0 ** (-np.arange(half) / half)
    turned = (vector[:half] + 1j * vector[half:]) * np.exp(1j * angles)
    return np.concatenate([turned.real, turned.imag])


def reference(
    x,
    context,
    weights,
    mask,
    context_mask,
    num_heads,
    num_key_value_heads=None,
    head_dim=None,
    rotary=False,
    qk_norm=False,
    gate=False,
    use_bias=True,
):
    """The docstring's equation in float64: one query of one head at a time, padding left out."""
    n, g = num_heads, num_key_value_heads or num_heads
    h = head_dim or x.shape[-1] // n

    def projected(name, vector):
        bias = weights[f"{name}/bias"] if use_bias else 0
        return vector @ weights[f"{name}/kernel"] + bias

    def prepared(vector, step, norm):
        if qk_norm:
            vector = vector / np.sqrt(np.mean(vector**2) + 1e-6) * weights[f"{norm}/scale"]
        return rotated(vector, step) if rotary else vector

    y = np.zeros(x.shape)
    for b in range(len(x)):
        seen = [s for s in range(context.shape[1]) if context_mask[b, s]]
        heads = {s: projected("key_value", context[b, s]).reshape(g, 2, h) for s in seen}
        for t in (t for t in range(x.shape[1]) if mask[b, t]):
            r = n // g  # query heads of each group
            both = projected("query", x[b, t]).reshape(g, 2 * r if gate else r, h)
            queries, gates = both[:, :r].reshape(n, h), both[:, r:].reshape(-1, h)
            together = np.zeros((n, h))
            for i in range(n if seen else 0):
                group = i * g // n
                query = prepared(queries[i], t, "query_norm")
                keys = [prepared(heads[s][group, 0], s, "key_norm") for s in seen]
                scores = np.exp([query @ key / np.sqrt(h) for key in keys])
                together[i] = scores @ [heads[s][group, 1] for s in seen] / scores.sum()
                together[i] /= 1 + (np.exp(-gates[i]) if gate else 0)
            y[b, t] = projected("output", together.reshape(n * h))
    return y


def built(randomise, **config):
    layer = CrossAttention(**config)
    layer.build((None, None, 8), (None, None, 6))
    return layer, randomise(layer)


X, CONTEXT = random(2, 5, 8, seed=1), random(2, 3, 6, seed=2)
STEPS = np.array([[1, 1, 1, 0, 0], [0, 1, 1, 0, 1]], bool)
LEFT, RIGHT, INSIDE, NOTHING = [0, 1, 1], [1, 1, 0], [1, 0, 1], [0, 0, 0]


@pytest.mark.parametrize("masks", [None, [LEFT, RIGHT], [INSIDE, NOTHING]])
@pytest.mark.parametrize(
    "config",
    [
        dict(num_heads=2),
        dict(num_heads=2, qk_norm=True, use_bias=False),
        dict(num_heads=4, num_key_value_heads=2, head_dim=6, gate=True),
        dict(num_heads=4, num_key_value_heads=2, head_dim=6, rotary=True, qk_norm=True, gate=True),
    ],
    ids=["plain", "norm", "gate", "all"],
)
def test_equals_the_reference(randomise, config, masks):
    position = RotaryEmbedding() if config.get("rotary") else None
    given = {name: value for name, value in config.items() if name != "rotary"}
    layer, weights = built(randomise, position=position, **given)
    mask, context_mask = (None, None) if masks is None else (STEPS, np.array(masks, bool))
    valid = [np.ones((2, 5)), np.ones((2, 3))] if masks is None else [mask, context_mask]
    expected = reference(X, CONTEXT, weights, *valid, **config)
    close(layer(X, context=CONTEXT, mask=mask, context_mask=context_mask), expected)


@pytest.mark.parametrize("padded", [False, True])
def test_equals_multi_head_attention_in_torch(randomise, padded):
    torch = pytest.importorskip("torch", reason="the other side of the comparison is PyTorch")
    layer, weights = built(randomise, num_heads=2)
    weights = {path: torch.tensor(value, dtype=torch.float32) for path, value in weights.items()}
    theirs = torch.nn.MultiheadAttention(8, 2, kdim=6, vdim=6, batch_first=True).eval()
    key, value = weights["key_value/kernel"].T.unflatten(0, (2, 2, 4)).transpose(0, 1).flatten(1, 2)
    bias = weights["key_value/bias"].unflatten(0, (2, 2, 4)).transpose(0, 1).flatten()
    state = dict(
        q_proj_weight=weights["query/kernel"].T,
        k_proj_weight=key,
        v_proj_weight=value,
        in_proj_bias=torch.cat([weights["query/bias"], bias]),
    )
    state["out_proj.weight"], state["out_proj.bias"] = (
        weights["output/kernel"].T,
        weights["output/bias"],
    )
    theirs.load_state_dict(state)
    mask = np.array([LEFT, RIGHT] if padded else [[1, 1, 1]] * 2, bool)
    x, context = torch.from_numpy(X), torch.from_numpy(CONTEXT)
    expected, expected_scores = theirs(
        x, context, context, key_padding_mask=torch.from_numpy(~mask), average_attn_weights=False
    )
    outputs, scores = layer(X, context=CONTEXT, context_mask=mask, return_attention_scores=True)
    close(outputs, expected.detach().numpy())
    close(scores, expected_scores.detach().numpy())
    close(layer(X, context=CONTEXT, context_mask=mask), outputs, relative=2e-6)


@pytest.mark.parametrize("padded", [False, True])
def test_without_a_context_the_inputs_are_the_context(randomise, padded):
    layer = CrossAttention(2, qk_norm=True)
    layer.build((None, None, 8))
    weights = randomise(layer)
    mask = STEPS if padded else None
    valid = STEPS if padded else np.ones((2, 5))
    expected = reference(X, X, weights, valid, valid, num_heads=2, qk_norm=True)
    close(layer(X, mask=mask), expected)
    close(layer(X, context=X, mask=mask, context_mask=mask), expected)


def test_an_empty_context_gives_the_bias_and_finite_gradients(randomise, gradients):
    layer, weights = built(randomise, num_heads=2, qk_norm=True)
    given = dict(mask=STEPS, context_mask=np.array([NOTHING, RIGHT], bool))
    context = np.where(given["context_mask"][..., None], CONTEXT, np.float32(np.nan))
    outputs, scores = layer(X, context=context, return_attention_scores=True, **given)
    outputs, scores = ops.convert_to_numpy(outputs), ops.convert_to_numpy(scores)
    assert not scores[0].any()
    assert not outputs[~STEPS].any()
    close(outputs[0][STEPS[0]], np.tile(weights["output/bias"], (3, 1)), relative=1e-6)
    by_inputs, *by_weights = gradients(layer, X, context=context, **given)
    assert all(np.isfinite(gradient).all() for gradient in (by_inputs, *by_weights))
    assert not by_inputs[0].any()
    assert by_inputs[1][STEPS[1]].all()


def test_keras_hands_over_both_masks(randomise):
    layer, weights = built(randomise, num_heads=2)
    mask = np.array([RIGHT, LEFT], bool)
    x, context = X * STEPS[..., None], CONTEXT * mask[..., None]
    expected = reference(X, CONTEXT, weights, STEPS, mask, num_heads=2)
    masked = layers.Masking()
    outputs = layer(masked(x), context=masked(context))
    close(outputs, expected)
    inputs, read = keras.Input((None, 8)), keras.Input((None, 6))
    functional = keras.Model([inputs, read], layer(masked(inputs), context=masked(read)))
    close(functional.predict([x, context], verbose=0), expected)

    pooled = layers.GlobalAveragePooling1D()(outputs)  # sees the mask of the inputs
    expected = [steps[valid].mean(axis=0) for steps, valid in zip(expected, STEPS, strict=True)]
    close(pooled, np.array(expected))


def test_stands_in_a_sequential_and_in_a_subclassed_model(randomise):
    layer = CrossAttention(2)
    sequential = keras.Sequential([keras.Input((None, 8)), layers.Masking(), layer])
    weights = randomise(layer)
    expected = reference(X, X, weights, STEPS, STEPS, num_heads=2)
    close(sequential.predict(X * STEPS[..., None], verbose=0), expected)

    class Model(keras.Model):
        def __init__(self):
            super().__init__()
            self.attend = CrossAttention(2)

        def call(self, inputs):
            return self.attend(inputs["x"], context=inputs["context"])

    model = Model()
    inputs = {"x": X, "context": CONTEXT}
    model(inputs)
    weights = randomise(model.attend)
    everywhere = np.ones((2, 5)), np.ones((2, 3))
    expected = reference(X, CONTEXT, weights, *everywhere, num_heads=2)
    close(model.predict(inputs, verbose=0), expected)


def test_dropped_scores_are_the_ones_that_give_the_outputs(randomise):
    layer, weights = built(randomise, num_heads=2, dropout=0.5, seed=1)
    outputs, scores = layer(X, context=CONTEXT, return_attention_scores=True, training=True)
    scores = ops.convert_to_numpy(scores)
    assert 0.3 < np.mean(scores == 0) < 0.7
    value = CONTEXT @ weights["key_value/kernel"] + weights["key_value/bias"]
    value = value.reshape(2, 3, 2, 2, 4)[..., 1, :]
    heads = np.einsum("bnts,bsnh->btnh", scores, value).reshape(2, 5, 8)
    close(outputs, heads @ weights["output/kernel"] + weights["output/bias"])
    close(*(layer(X, context=CONTEXT) for _ in range(2)), relative=0)


def test_a_bias_is_added_to_the_scores(randomise):
    class Nearness(layers.Layer):
        def build(self, input_shape):
            assert input_shape == (None, 2, None, None)
            self.slope = self.add_weight(shape=(2,), name="slope")

        def bias(self, queries, keys, slope):
            distance = ops.cast(ops.abs(queries[:, None] - keys), slope.dtype)
            return slope[:, None, None] * distance

    position = Nearness()
    layer, weights = built(randomise, num_heads=2, position=position)
    _, scores = layer(X, context=CONTEXT, return_attention_scores=True)
    position.slope.assign([0.0, 0.0])
    _, plain = layer(X, context=CONTEXT, return_attention_scores=True)
    slope = next(value for path, value in weights.items() if path.endswith("slope"))
    distance = np.abs(np.arange(5)[:, None] - np.arange(3))
    expected = ops.convert_to_numpy(plain) * np.exp(slope[:, None, None] * distance)
    close(scores, expected / expected.sum(axis=-1, keepdims=True))


def test_bad_inputs_are_refused_and_change_nothing():
    layer = CrossAttention(3)
    with pytest.raises(ValueError, match=r"must divide.*Received: num_heads=3, input_shape=\(2, 5"):
        layer(X, context=CONTEXT)
    layer = CrossAttention(2)
    with pytest.raises(ValueError, match=r"three axes. Received: context_shape=\(2, 6\)"):
        layer(X, context=CONTEXT[:, 0])
    with pytest.raises(ValueError, match=r"known size. Received: input_shape=\(None, 3, None\)"):
        layer(keras.Input((5, 8)), context=keras.Input((3, None)))
    assert not layer.built
    assert not layer.variables
    layer(X, context=CONTEXT)
    with pytest.raises(ValueError, match=r"needs a `context`\. Received: context=None"):
        layer(X, context_mask=STEPS)
    with pytest.raises(ValueError, match=r"value 6, but received input with shape \(2, 5, 8\)"):
        layer(X)
