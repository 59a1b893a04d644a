import keras
import numpy as np
import pytest
from arrays import INSIDE, LEFT, RIGHT, close, random
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers, ops

from layerzoo import RotaryEmbedding, SelfAttention


def rotated(vector, position, layout):
    """A head's feature pairs as complex numbers, each multiplied by `exp(i angle)`."""
    half = len(vector) // 2
    first = slice(0, half) if layout == "half" else slice(0, None, 2)
    second = slice(half, None) if layout == "half" else slice(1, None, 2)
    angles = position * 10_000.0 ** (-np.arange(half) / half)
    pairs = (vector[first] + 1j * vector[second]) * np.exp(1j * angles)
    result = np.empty(len(vector))
    result[first], result[second] = pairs.real, pairs.imag
    return result


def reference(
    x,
    weights,
    mask,
    num_heads,
    num_key_value_heads=None,
    head_dim=None,
    causal=False,
    window=None,
    layout=None,
    qk_norm=False,
    gate=False,
    use_bias=True,
):
    """The docstring's equation in float64: one query of one head at a time, padding left out."""
    batch, time, width = x.shape
    n, g = num_heads, num_key_value_heads or num_heads
    h = head_dim or width // n
    bias_in = weights["query_key_value/bias"] if use_bias else 0
    bias_out = weights["output/bias"] if use_bias else 0

    def prepared(vector, t, norm):
        if qk_norm:
            root_mean_square = np.sqrt(np.mean(vector**2) + 1e-6)
            vector = vector / root_mean_square * weights[f"{norm}/scale"]
        return vector if layout is None else rotated(vector, t, layout)

    y = np.zeros((batch, time, width))
    for b in range(batch):
        steps = [t for t in range(time) if mask[b, t]]
        projected = {t: x[b, t] @ weights["query_key_value/kernel"] + bias_in for t in steps}
        r = n // g  # query heads of each group
        heads = {t: projected[t].reshape(g, (2 * r if gate else r) + 2, h) for t in steps}
        for t in steps:
            seen = [
                s
                for s in steps
                if not (causal and s > t) and not (window is not None and abs(t - s) >= window)
            ]
            together = []
            for i in range(n):
                group, place = divmod(i, r)
                query = prepared(heads[t][group, place], t, "query_norm")
                keys = [prepared(heads[s][group, r], s, "key_norm") for s in seen]
                scores = np.exp([query @ key / np.sqrt(h) for key in keys])
                values = [heads[s][group, r + 1] for s in seen]
                attended = scores @ values / scores.sum()
                closed = np.exp(-heads[t][group, r + 2 + place]) if gate else 0
                together.append(attended / (1 + closed))
            y[b, t] = np.concatenate(together) @ weights["output/kernel"] + bias_out
    return y


def built(randomise, width=8, **config):
    layer = SelfAttention(**config)
    layer.build((None, None, width))
    return layer, randomise(layer)


@settings(max_examples=25, deadline=None, derandomize=True, database=None)
@given(
    heads=st.sampled_from([(4, 2), (4, 1), (2, None)]),
    head_dim=st.sampled_from([None, 6]),
    causal=st.booleans(),
    window=st.sampled_from([None, 1, 3]),
    layout=st.sampled_from([None, "half", "interleaved"]),
    qk_norm=st.booleans(),
    gate=st.booleans(),
    use_bias=st.booleans(),
    mask=st.sampled_from([None, [LEFT, RIGHT], [INSIDE, [0] * 5]]),
    seed=st.integers(0, 99),
)
def test_equals_the_reference(randomise, heads, layout, mask, seed, **config):
    config.update(num_heads=heads[0], num_key_value_heads=heads[1])
    position = None if layout is None else RotaryEmbedding(layout=layout)
    layer = SelfAttention(position=position, **config)
    layer.build((None, None, 8))
    weights = randomise(layer, seed)
    x = random(2, 5, 8, seed=seed)
    mask = np.ones((2, 5), bool) if mask is None else np.array(mask, bool)
    expected = reference(x, weights, mask, layout=layout, **config)
    close(layer(x, mask=mask), expected)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("padded", [False, True])
def test_equals_scaled_dot_product_attention_in_torch(randomise, causal, padded):
    torch = pytest.importorskip("torch", reason="the other side of the comparison is PyTorch")
    functional = torch.nn.functional
    position = RotaryEmbedding(layout="interleaved")
    layer, weights = built(
        randomise, num_heads=4, num_key_value_heads=2, head_dim=6, causal=causal, position=position
    )
    weights = {path: torch.tensor(value, dtype=torch.float32) for path, value in weights.items()}
    x = random(2, 5, 8)
    mask = np.array([[1] * 5, RIGHT if padded else [1] * 5], bool)

    turns = torch.outer(torch.arange(5.0), 10_000.0 ** (-torch.arange(0, 6, 2) / 6))
    turns = torch.polar(torch.ones(5, 3), turns)

    def rotary(heads):  # (batch, heads, time, 6)
        pairs = torch.view_as_complex(heads.unflatten(-1, (3, 2)).contiguous())
        return torch.view_as_real(pairs * turns).flatten(-2)

    kernel, bias = weights["query_key_value/kernel"], weights["query_key_value/bias"]
    projected = functional.linear(torch.from_numpy(x), kernel.T, bias)
    query, key, value = (
        part.flatten(2, 3).transpose(1, 2)
        for part in projected.unflatten(-1, (2, 4, 6)).split([2, 1, 1], -2)
    )
    seen = torch.from_numpy(mask)[:, None, None, :]
    if causal:
        seen = seen & torch.ones(5, 5, dtype=torch.bool).tril()
    attended = functional.scaled_dot_product_attention(
        rotary(query), rotary(key), value, attn_mask=seen, enable_gqa=True
    )
    expected = functional.linear(
        attended.transpose(1, 2).flatten(-2), weights["output/kernel"].T, weights["output/bias"]
    ).numpy()
    close(ops.convert_to_numpy(layer(x, mask=mask))[mask], expected[mask])


@pytest.mark.parametrize("grouped", [False, True])
def test_equals_the_gated_attention_of_keras(randomise, grouped):
    groups = 2 if grouped else 4
    layer, weights = built(randomise, num_heads=4, num_key_value_heads=groups, gate=True)
    if grouped:
        theirs = layers.GroupQueryAttention(2, 4, 2, use_gate=True)
    else:
        theirs = layers.MultiHeadAttention(4, 2, use_gate=True)
    x = random(2, 5, 8)
    theirs(x, x)
    r = 4 // groups
    for name in ("kernel", "bias"):
        fused = weights[f"query_key_value/{name}"]
        heads = fused.reshape(*fused.shape[:-1], groups, 2 * r + 2, 2)
        parts = np.split(heads, [r, r + 1, r + 2], axis=-2)
        for kind, part in zip(("query", "key", "value", "gate"), parts, strict=True):
            weight = getattr(getattr(theirs, f"_{kind}_dense"), name)
            weight.assign(part.reshape(weight.shape))
    out = theirs._output_dense
    out.kernel.assign(weights["output/kernel"].reshape(out.kernel.shape))
    out.bias.assign(weights["output/bias"])
    close(layer(x), theirs(x, x))


def test_a_gate_that_is_closed_lets_nothing_pass(randomise):
    layer, weights = built(randomise, num_heads=2, num_key_value_heads=1, gate=True)
    bias = weights["query_key_value/bias"].copy()
    bias[-8:] = -1e4  # the gates of the two heads come last
    layer.project_in.bias.assign(bias)
    y = ops.convert_to_numpy(layer(random(2, 5, 8)))
    close(y, np.broadcast_to(weights["output/bias"], y.shape))


def test_a_window_of_one_sees_only_the_step_itself(randomise):
    layer, weights = built(randomise, num_heads=2, window=1)
    x = random(2, 5, 8)
    projected = x @ weights["query_key_value/kernel"] + weights["query_key_value/bias"]
    value = projected.reshape(2, 5, 2, 3, 4)[..., 2, :].reshape(2, 5, 8)
    close(layer(x), value @ weights["output/kernel"] + weights["output/bias"])


@pytest.mark.parametrize(
    ("config", "sees"),
    [
        (dict(causal=True), lambda t, s: s <= t),
        (dict(window=2), lambda t, s: abs(t - s) < 2),
        (dict(window=3, causal=True), lambda t, s: t - 3 < s <= t),
    ],
    ids=["causal", "window", "both"],
)
def test_scores_are_positive_exactly_where_a_step_may_see(randomise, config, sees):
    layer, _ = built(randomise, num_heads=2, num_key_value_heads=1, **config)
    mask = np.array([RIGHT, [1] * 5], bool)
    _, scores = layer(random(2, 5, 8), mask=mask, return_attention_scores=True)
    within = np.array([[sees(t, s) for s in range(5)] for t in range(5)])
    allowed = np.broadcast_to(within & mask[:, None, None, :], (2, 2, 5, 5))
    np.testing.assert_array_equal(ops.convert_to_numpy(scores) > 0, allowed)


@pytest.mark.parametrize("training", [False, True])
def test_returned_scores_are_the_ones_that_give_the_outputs(randomise, training):
    layer, weights = built(
        randomise, num_heads=4, num_key_value_heads=1, head_dim=6, dropout=0.5, seed=1
    )
    x, mask = random(4, 5, 8), np.array([RIGHT, LEFT, INSIDE, [1] * 5], bool)
    outputs, scores = layer(x, mask=mask, return_attention_scores=True, training=training)
    scores = ops.convert_to_numpy(scores)
    value = (x @ weights["query_key_value/kernel"] + weights["query_key_value/bias"])[..., -6:]
    heads = np.einsum("bnts,bsh->btnh", scores, value).reshape(4, 5, 24)
    expected = heads @ weights["output/kernel"] + weights["output/bias"]
    close(outputs, np.where(mask[..., None], expected, 0))
    visible = scores[np.broadcast_to(mask[:, None, None, :], scores.shape)]
    if training:
        assert 0.3 < np.mean(visible == 0) < 0.7
    else:
        np.testing.assert_allclose(scores.sum(axis=-1), 1, atol=1e-6)
        close(outputs, layer(x, mask=mask), relative=1e-6)  # PyTorch has a kernel without scores


def test_batch_and_time_may_be_unknown_in_every_kind_of_model(randomise):
    layer, weights = built(randomise, num_heads=2, causal=True)
    inputs = keras.Input((None, 8))
    functional = keras.Model(inputs, layer(inputs))
    sequential = keras.Sequential([keras.Input((None, 8)), layers.Masking(), layer])
    for batch, time in [(2, 5), (1, 3), (3, 1)]:
        x = random(batch, time, 8)
        everywhere = np.ones((batch, time), bool)
        expected = reference(x, weights, everywhere, num_heads=2, causal=True)
        close(functional.predict(x, verbose=0), expected)
        mask = np.arange(time) < time - 1
        expected = reference(x, weights, everywhere & mask, num_heads=2, causal=True)
        close(sequential.predict(x * mask[:, None], verbose=0), expected)


def test_one_position_layer_serves_two_attention_layers(randomise):
    class Learned(layers.Layer):
        def build(self, input_shape):
            self.shift = self.add_weight(shape=(input_shape[-1],), name="shift")

        def call(self, inputs):
            return inputs + self.shift

    shared = Learned()
    first, second = SelfAttention(2, position=shared), SelfAttention(4, head_dim=4, position=shared)
    first.build((None, None, 8))
    second.build((None, None, 8))
    assert len(shared.weights) == 1


def test_an_odd_head_cannot_be_rotated():
    with pytest.raises(ValueError, match=r"even size.*Received: input_shape=\(2, 5, 2, 3\)"):
        SelfAttention(2, position=RotaryEmbedding())(random(2, 5, 6))
