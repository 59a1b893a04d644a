import keras
import numpy as np
import pytest
from arrays import INSIDE, LEFT, RIGHT, close, random
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers, ops

from layerzoo import MultiHeadLatentAttention


def turned(vector, position):
    """Features `i` and `i + r/2` as complex numbers, each multiplied by `exp(i angle)`."""
    half = len(vector) // 2
    angles = position * 10_000.0 ** (-np.arange(half) / half)
    pairs = (vector[:half] + 1j * vector[half:]) * np.exp(1j * angles)
    return np.concatenate([pairs.real, pairs.imag])


def normed(vector, scale):
    return vector / np.sqrt(np.mean(vector**2) + 1e-6) * scale


def reference(
    x,
    weights,
    mask,
    num_heads,
    latent_dim,
    query_latent_dim=None,
    head_dim=None,
    rope_dim=None,
    causal=False,
    use_bias=True,
):
    """The full formulas in the paper's appendix, in float64, in the form that reads a cache.

    Only latents and turned keys of other steps are used. The matrices that would give keys and values
    are applied to the query, and to the mean of the latents.
    """
    batch, time, width = x.shape
    n, h = num_heads, head_dim or width // num_heads
    r = rope_dim or h // 2

    def project(vector, name):
        bias = weights[f"{name}/bias"] if use_bias else 0
        return vector @ weights[f"{name}/kernel"] + bias

    up = weights["key_value/kernel"].reshape(latent_dim, n, 2, h)
    up_bias = weights["key_value/bias"].reshape(n, 2, h) if use_bias else np.zeros((n, 2, h))

    y = np.zeros((batch, time, width))
    for b in range(batch):
        steps = [t for t in range(time) if mask[b, t]]
        cache = {}
        for t in steps:
            latent, key = np.split(project(x[b, t], "latent"), [latent_dim])
            cache[t] = normed(latent, weights["latent_norm/scale"]), turned(key, t)
        for t in steps:
            seen = [cache[s] for s in steps if not (causal and s > t)]
            source = x[b, t]
            if query_latent_dim:
                source = project(source, "query_latent")
                source = normed(source, weights["query_latent_norm/scale"])
            queries = project(source, "query").reshape(n, h + r)
            together = []
            for i in range(n):
                query, rotary = queries[i, :h], turned(queries[i, h:], t)
                absorbed = up[:, i, 0] @ query
                scores = [
                    (absorbed @ latent + up_bias[i, 0] @ query + rotary @ key) / np.sqrt(h + r)
                    for latent, key in seen
                ]
                scores = np.exp(scores - np.max(scores))
                mean = scores @ [latent for latent, _ in seen] / scores.sum()
                together.append(mean @ up[:, i, 1] + up_bias[i, 1])
            y[b, t] = project(np.concatenate(together), "output")
    return y


PLAIN = dict(num_heads=2, latent_dim=3, rope_dim=2)


def built(randomise, width=8, **config):
    layer = MultiHeadLatentAttention(**config)
    layer.build((None, None, width))
    return layer, randomise(layer)


SIZES = [
    dict(latent_dim=3),
    dict(latent_dim=3, query_latent_dim=5),
    dict(latent_dim=10, query_latent_dim=5, head_dim=6, rope_dim=4),
]


@settings(max_examples=12, deadline=None, derandomize=True, database=None)
@given(
    sizes=st.sampled_from(SIZES),
    causal=st.booleans(),
    use_bias=st.booleans(),
    mask=st.sampled_from([None, [LEFT, RIGHT], [INSIDE, [0] * 5]]),
    seed=st.integers(0, 99),
)
def test_equals_the_reference_which_reads_a_cache(randomise, sizes, mask, seed, **config):
    config.update(num_heads=2, **sizes)
    layer = MultiHeadLatentAttention(**config)
    layer.build((None, None, 8))
    weights = randomise(layer, seed)
    x = random(2, 5, 8, seed=seed)
    mask = np.ones((2, 5), bool) if mask is None else np.array(mask, bool)
    close(layer(x, mask=mask), reference(x, weights, mask, **config))


@pytest.mark.parametrize("query_latent_dim", [None, 5])
def test_equals_the_expanded_form_in_torch(randomise, query_latent_dim):
    torch = pytest.importorskip("torch", reason="the other side of the comparison is PyTorch")
    functional = torch.nn.functional
    config = dict(query_latent_dim=query_latent_dim, causal=True, use_bias=False)
    layer, weights = built(randomise, **PLAIN, **config)
    weights = {path: torch.tensor(value, dtype=torch.float32) for path, value in weights.items()}
    x = random(2, 5, 8)

    def linear(features, name):
        return functional.linear(features, weights[f"{name}/kernel"].T)

    def norm(features, name):
        return functional.rms_norm(features, features.shape[-1:], weights[f"{name}/scale"], 1e-6)

    turns = torch.polar(torch.ones(5), torch.arange(5.0))

    def rotary(heads):  # (batch, time, heads, 2)
        return torch.view_as_real(torch.view_as_complex(heads) * turns[:, None])

    source = torch.from_numpy(x)
    latent, key_rotary = linear(source, "latent").split([3, 2], dim=-1)
    key_value = linear(norm(latent, "latent_norm"), "key_value").unflatten(-1, (2, 8))
    key, value = key_value.split(4, dim=-1)
    key_rotary = rotary(key_rotary[:, :, None].contiguous()).expand(2, 5, 2, 2)
    if query_latent_dim:
        source = norm(linear(source, "query_latent"), "query_latent_norm")
    query = linear(source, "query").unflatten(-1, (2, 6))
    query, query_rotary = query.split([4, 2], dim=-1)
    query = torch.cat([query, rotary(query_rotary.contiguous())], dim=-1)
    attended = functional.scaled_dot_product_attention(
        query.transpose(1, 2),
        torch.cat([key, key_rotary], dim=-1).transpose(1, 2),
        value.transpose(1, 2),
        is_causal=True,
    )
    close(layer(x), linear(attended.transpose(1, 2).flatten(-2), "output").numpy())


def test_later_steps_see_of_a_step_only_its_latent_and_its_turned_key(randomise):
    layer, weights = built(randomise, **PLAIN, causal=True)
    unseen = np.linalg.svd(weights["latent/kernel"].T)[2][5:]  # what the latent kernel maps to zero
    assert unseen.shape == (3, 8)
    x = random(2, 5, 8)
    moved = x.copy()
    moved[:, :3] += (10 * random(2, 3, 3, seed=1) @ unseen).astype("float32")
    before, after = ops.convert_to_numpy(layer(x)), ops.convert_to_numpy(layer(moved))
    close(after[:, 3:], before[:, 3:])
    assert (np.abs(after - before)[:, 1:3].max(axis=-1) > 0.01).all(), "their own queries moved"


def test_outputs_depend_on_positions_by_their_distance_alone(randomise):
    layer, _ = built(randomise, **PLAIN)
    x, mask = random(2, 5, 8), np.array([LEFT, RIGHT], bool)
    y = ops.convert_to_numpy(layer(x, mask=mask))
    rolled = np.roll(x[0], -2, axis=0), np.roll(x[1], 2, axis=0)
    shifted = ops.convert_to_numpy(layer(np.stack(rolled), mask=mask[::-1]))
    close(shifted[0, :3], y[0, 2:])
    close(shifted[1, 2:], y[1, :3])
    backwards = ops.convert_to_numpy(layer(x[:, ::-1], mask=mask[:, ::-1]))[:, ::-1]
    assert np.abs(backwards - y).max() > 0.01


@pytest.mark.parametrize("training", [False, True])
def test_returned_scores_are_the_ones_that_give_the_outputs(randomise, training):
    layer, weights = built(randomise, **PLAIN, use_bias=False, dropout=0.5, seed=1)
    x, mask = random(2, 5, 8), np.array([RIGHT, [1] * 5], bool)
    outputs, scores = layer(x, mask=mask, return_attention_scores=True, training=training)
    scores = ops.convert_to_numpy(scores)
    latent = (x @ weights["latent/kernel"])[..., :3]
    latent = latent / np.sqrt(np.mean(latent**2, axis=-1, keepdims=True) + 1e-6)
    latent = latent * weights["latent_norm/scale"]
    value = (latent @ weights["key_value/kernel"]).reshape(2, 5, 2, 2, 4)[:, :, :, 1]
    heads = np.einsum("bnts,bsnh->btnh", scores, value).reshape(2, 5, 8)
    close(outputs, np.where(mask[..., None], heads @ weights["output/kernel"], 0))
    visible = scores[np.broadcast_to(mask[:, None, None, :], scores.shape)]
    assert not scores[0, :, :, 3:].any()
    if training:
        assert 0.3 < np.mean(visible == 0) < 0.7
    else:
        np.testing.assert_allclose(scores.sum(axis=-1), 1, atol=1e-6)


def test_batch_and_time_may_be_unknown_in_every_kind_of_model(randomise):
    config = dict(PLAIN, causal=True)
    layer, weights = built(randomise, **config)

    class Subclassed(keras.Model):
        def __init__(self):
            super().__init__()
            self.attention = layer

        def call(self, inputs):
            return self.attention(inputs)

    inputs = keras.Input((None, 8))
    functional = keras.Model(inputs, layer(inputs))
    sequential = keras.Sequential([keras.Input((None, 8)), layers.Masking(), layer])
    for batch, time in [(2, 5), (3, 1)]:
        x = random(batch, time, 8)
        everywhere = np.ones((batch, time), bool)
        expected = reference(x, weights, everywhere, **config)
        close(functional.predict(x, verbose=0), expected)
        close(Subclassed()(x), expected)
        mask = np.arange(time) < time - 1
        expected = reference(x, weights, everywhere & mask, **config)
        close(sequential(x * mask[:, None]), expected)


def test_bad_inputs_are_refused_and_change_nothing():
    layer = MultiHeadLatentAttention(2, latent_dim=3)
    with pytest.raises(ValueError, match=r"must divide.*Received: num_heads=2, input_shape=\(2, 5"):
        layer(random(2, 5, 7))
    with pytest.raises(
        ValueError, match=r"multiple of 4.*Received: head_dim=None, num_heads=2, in"
    ):
        layer(random(2, 5, 12))
    with pytest.raises(ValueError, match=r"known size. Received: input_shape=\(None, 5, None\)"):
        layer(keras.Input((5, None)))
    with pytest.raises(ValueError, match=r"expected ndim=3, found ndim=2"):
        layer(random(5, 8))
    assert not layer.built
    assert not layer.variables
