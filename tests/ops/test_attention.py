"""Attention in blocks, whatever is seen, is attention as a whole; and as a whole it is the formula."""

import warnings

import keras
import numpy as np
import pytest
from arrays import by_group, random
from keras import ops

from layerzoo.ops import attention_blocks
from layerzoo.ops.attention import attention, attention_and_scores, split_groups


def formula(query, key, value, key_mask=None, causal=False, window=None, bias=None):
    """Step by step in float64: what is attended to, and the scores."""
    (b, t, n, h), (s, g) = query.shape, key.shape[1:3]
    attended = np.zeros((b, t, n, value.shape[-1]))
    scores = np.zeros((b, n, t, s))
    for i, q, head in np.ndindex(b, t, n):
        group = head // (n // g)
        seen = [
            k
            for k in range(s)
            if (key_mask is None or key_mask[i, k])
            and (not causal or k <= q)
            and (window is None or abs(q - k) < window)
        ]
        if not seen:
            continue
        logits = key[i, seen, group].astype("float64") @ query[i, q, head] / np.sqrt(h)
        if bias is not None:
            logits = logits + bias[head, q, seen]
        weights = np.exp(logits - logits.max())
        weights /= weights.sum()
        scores[i, head, q, seen] = weights
        attended[i, q, head] = weights @ value[i, seen, group]
    return attended, scores


def slope(queries, keys, steepness):
    """A bias that depends on the distance, and on a weight for each head."""
    distance = ops.cast(queries[:, None] - keys[None, :], steepness.dtype)
    return steepness[:, None, None] * distance


MASK = np.random.default_rng(7).random((2, 11)) < 0.6
MASK[0, :3] = False
SEEN = [
    dict(),
    dict(causal=True),
    dict(window=3),
    dict(causal=True, window=3),
    dict(key_mask=MASK),
    dict(key_mask=np.zeros((2, 11), bool)),
    dict(causal=True, key_mask=MASK),
    dict(causal=True, window=2, key_mask=MASK),
    dict(causal=True, key_mask=MASK, bias=True),
    dict(window=4, bias=True),
    dict(bias=True),
]


@pytest.fixture(params=[None, 4], ids=["whole", "blocks of 4"])
def size(request, monkeypatch):
    """The blocks are cut so that their edges fall inside the sequence."""
    if request.param:
        monkeypatch.setattr(attention_blocks, "block_size", lambda *_: request.param)


@pytest.mark.parametrize("seen", SEEN, ids=lambda seen: ", ".join(seen) or "all")
@pytest.mark.parametrize(("n", "g"), [(4, 2), (3, 1)])
def test_value_and_scores_are_the_formula(seen, n, g, size):
    query, key, value = (
        random(2, 11, n, 6),
        random(2, 11, g, 6, seed=1),
        random(2, 11, g, 5, seed=2),
    )
    steepness = random(n, seed=3)
    given, bias = dict(seen), None
    if seen.get("bias"):
        given.update(bias=slope, weights=[ops.convert_to_tensor(steepness)])
        bias = steepness[:, None, None] * (np.arange(11)[:, None] - np.arange(11))
    attended, weights = formula(query, key, value, **{**seen, "bias": bias})
    found = ops.convert_to_numpy(attention(query, key, value, **given))
    np.testing.assert_allclose(found, attended, atol=1e-5)
    found, scores = attention_and_scores(query, key, value, **given)
    np.testing.assert_allclose(ops.convert_to_numpy(found), attended, atol=1e-5)
    np.testing.assert_allclose(ops.convert_to_numpy(scores), weights, atol=1e-5)


class Attend(keras.layers.Layer):
    """Attention with its weight as a layer, whose gradients the fixture takes."""

    def __init__(self, whole, **seen):
        super().__init__()
        self.whole, self.seen = whole, seen

    def build(self, input_shape):
        self.steepness = self.add_weight(shape=(4,), initializer="random_normal")

    def call(self, inputs):
        query, key, value = ops.split(inputs, [4, 6], axis=2)
        seen = dict(self.seen)
        if seen.pop("bias", False):
            seen.update(bias=slope, weights=[ops.convert_to_tensor(self.steepness)])
        if self.whole:
            return attention_and_scores(query, key, value, **seen)[0]
        return attention(query, key, value, **seen)


SEED = np.array([5, 6])


@pytest.mark.parametrize("seen", SEEN, ids=lambda seen: ", ".join(seen) or "all")
def test_the_gradient_in_blocks_is_that_of_the_whole(seen, size, gradients, randomise):
    x = random(2, 11, 8, 6, seed=4)
    found = {}
    for whole in (True, False):
        layer = Attend(whole, **seen)
        layer.build(x.shape)
        randomise(layer)
        layer.trainable = seen.get("bias", False)
        found[whole] = gradients(layer, x)
    for ours, due in zip(found[False], found[True], strict=True):
        assert np.isfinite(ours).all()
        np.testing.assert_allclose(ours, due, atol=1e-5 * max(1, np.abs(due).max()))


def drawn():
    return ops.convert_to_tensor(SEED, dtype=keras.backend.standardize_dtype(seed_dtype()))


def seed_dtype():
    return keras.random.SeedGenerator(0).state.dtype


def test_dropout_is_the_same_for_the_same_seed_and_keeps_the_mean():
    query, value = random(2, 40, 4, 6), np.ones((2, 40, 4, 3), "float32")
    first, again = (
        ops.convert_to_numpy(attention(query, query, value, dropout=(0.3, drawn())))
        for _ in range(2)
    )
    np.testing.assert_array_equal(first, again)
    other = attention(query, query, value, dropout=(0.3, drawn() + ops.ones_like(drawn())))
    assert not np.allclose(first, ops.convert_to_numpy(other))
    assert abs(first.mean() - 1) < 0.05


def test_blocks_drop_each_for_itself(size):
    """Were the parts of a sequence given the same numbers, equal queries would get equal outputs."""
    same = np.ones((1, 11, 1, 4), "float32")
    value = random(1, 11, 1, 4, seed=1)
    attended = ops.convert_to_numpy(attention(same, same, value, dropout=(0.5, drawn())))
    assert len(np.unique(np.round(attended[0, :, 0, 0], 5))) > 5


def test_the_gradient_with_dropout_is_that_of_what_was_kept(size, gradients):
    """By finite differences: the same seed drops the same."""
    x = random(1, 11, 8, 4, seed=2)
    layer = Attend(False, dropout=(0.4, drawn()), causal=True)
    layer.build(x.shape)
    layer.trainable = False
    (gradient,) = gradients(layer, x)
    along = random(*x.shape, seed=3)
    ahead, behind = (
        np.square(ops.convert_to_numpy(layer(x + step * along)).astype("float64")).sum()
        for step in (1e-2, -1e-2)
    )
    np.testing.assert_allclose((ahead - behind) / 2e-2, (gradient * along).sum(), rtol=2e-3)


def test_what_scores_were_used_is_what_dropout_left():
    query, value = random(2, 7, 2, 4), random(2, 7, 2, 3, seed=1)
    attended, scores = attention_and_scores(query, query, value, dropout=(0.5, drawn()))
    scores = ops.convert_to_numpy(scores)
    assert (scores == 0).mean() > 0.3
    np.testing.assert_allclose(
        ops.convert_to_numpy(attended), np.einsum("bnts,bsnh->btnh", scores, value), atol=1e-5
    )


def test_keys_and_values_may_come_from_another_sequence():
    query, key, value = random(2, 3, 4, 6), random(2, 5, 2, 6, seed=1), random(2, 5, 2, 6, seed=2)
    attended, weights = formula(query, key, value)
    found = ops.convert_to_numpy(attention(query, key, value))
    np.testing.assert_allclose(found, attended, atol=1e-5)
    scores = attention_and_scores(query, key, value)[1]
    np.testing.assert_allclose(ops.convert_to_numpy(scores), weights, atol=1e-5)


@pytest.mark.parametrize("t", [1, 127, 128, 129, 1024, 1025, 8192, 32768, 100_000])
@pytest.mark.parametrize("window", [None, 1, 256])
@pytest.mark.parametrize("causal", [False, True])
def test_blocks_cover_each_query_once_and_all_that_it_may_see(t, window, causal):
    spans = attention_blocks.blocks(t, t, causal, window)
    assert [q0 for q0, _, _, _ in spans] == [0, *(q1 for _, q1, _, _ in spans[:-1])]
    assert spans[-1][1] == t
    assert len(spans) <= 128
    for q0, q1, k0, k1 in spans:
        first, last = (0, t) if window is None else (q0 - window + 1, q1 + window - 1)
        assert (k0, k1) == (max(first, 0), q1 if causal else min(last, t))


unknown_lengths = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow",
    reason="about lengths that only TensorFlow cuts unknown",
)


@unknown_lengths
@pytest.mark.parametrize("t", [1, 7, 8, 9, 12, 20, 150])
@pytest.mark.parametrize("window", [None, 1, 3])
@pytest.mark.parametrize("causal", [False, True])
def test_no_block_of_an_unknown_length_is_empty(t, window, causal):
    unknown = ops.convert_to_tensor(t)
    spans = attention_blocks.blocks(unknown, unknown, causal, window)
    spans = [tuple(int(edge) for edge in span) for span in spans]
    assert [q0 for q0, _, _, _ in spans] == [0, *(q1 for _, q1, _, _ in spans[:-1])]
    assert t <= spans[-1][1] < t + len(spans)
    for q0, q1, k0, k1 in spans:
        assert q0 < q1
        assert 0 <= k0 < k1 <= t
        for query in range(q0, min(q1, t)):
            first = 0 if window is None else max(query - window + 1, 0)
            last = query if causal else t - 1 if window is None else min(query + window - 1, t - 1)
            assert k0 <= first <= last < k1


@unknown_lengths
@pytest.mark.parametrize(
    "seen",
    [{}, {"causal": True}, {"window": 3}, {"causal": True, "window": 2, "bias": slope}],
    ids=lambda seen: ", ".join(seen) or "all",
)
def test_values_and_gradients_at_an_unknown_length_are_those_at_a_known_one(seen):
    import tensorflow as tf

    def run(query, key, value, mask, steepness):
        with tf.GradientTape() as tape:
            tape.watch([query, key, value, steepness])
            weights = [steepness] if "bias" in seen else []
            y = attention(query, key, value, mask if seen else None, weights=weights, **seen)
            loss = tf.reduce_sum(tf.sin(y))
        zero = tf.UnconnectedGradients.ZERO
        return y, *tape.gradient(loss, [query, key, value, steepness], unconnected_gradients=zero)

    shapes = (None, None, 4, 6), (None, None, 2, 6), (None, None, 2, 5)
    traced = tf.function(
        run,
        input_signature=[
            *(tf.TensorSpec(shape, "float32") for shape in shapes),
            tf.TensorSpec((None, None), "bool"),
            tf.TensorSpec((4,), "float32"),
        ],
    )
    for t in (1, 9, 12, 20, 150):
        inputs = [random(2, t, *shape[2:], seed=i) for i, shape in enumerate(shapes)]
        mask = np.random.default_rng(t).random((2, t)) < 0.6
        inputs = [tf.constant(x) for x in (*inputs, mask, random(4, seed=3))]
        for found, due in zip(traced(*inputs), run(*inputs), strict=True):
            assert found.shape == due.shape
            np.testing.assert_allclose(found, due, atol=1e-5 * max(1, np.abs(due).max()))


@pytest.mark.parametrize("counts", [(2, 1, 1), (1, 1)])
def test_a_fused_projection_is_split_group_by_group(counts):
    parts = [random(2, 5, 3, count, 4, seed=count) for count in counts]
    together = by_group(3, *(part.reshape(2, 5, -1) for part in parts))
    for found, part in zip(split_groups(together, 3, counts), parts, strict=True):
        np.testing.assert_array_equal(ops.convert_to_numpy(found), part.reshape(2, 5, -1, 4))


@pytest.mark.skipif(keras.backend.backend() != "torch", reason="about PyTorch's fused kernel")
@pytest.mark.parametrize("seen", [dict(causal=True, key_mask=MASK), dict(window=3)], ids=str)
def test_in_blocks_of_the_kernel_a_gradient_has_a_gradient(seen, size):
    import torch

    found = []
    for attend in (attention, lambda *args, **kwargs: attention_and_scores(*args, **kwargs)[0]):
        parts = [torch.tensor(random(2, 11, n, 6, seed=n), requires_grad=True) for n in (4, 2, 2)]
        first = torch.autograd.grad(attend(*parts, **seen).pow(2).sum(), parts, create_graph=True)
        slope = sum(x.pow(2).sum() for x in first)
        found.append([x.detach().numpy() for x in torch.autograd.grad(slope, parts)])
    for ours, due in zip(*found, strict=True):
        np.testing.assert_allclose(ours, due, atol=1e-5 * np.abs(due).max())


on_jax = pytest.mark.skipif(keras.backend.backend() != "jax", reason="about transformations of JAX")


@on_jax
@pytest.mark.parametrize("size", [4], indirect=True)
def test_masks_and_seeds_may_be_traced_inside_what_is_differentiated(size):
    """A gradient that closed over a mask or a seed would fail, because their trace has ended by then."""
    import jax

    def loss(x, mask, seed):
        seen = dict(key_mask=mask, causal=True, dropout=(0.4, seed))
        return ops.sum(ops.sin(attention(x, x, x, **seen)))

    x, seed = random(2, 11, 2, 6), drawn()
    due = jax.jit(jax.grad(loss))(x, MASK, seed)
    for wrapped in (jax.jit(loss), jax.checkpoint(loss)):
        found = jax.jit(jax.grad(wrapped))(x, MASK, seed)
        np.testing.assert_allclose(found, due, atol=1e-5)
    two = [np.stack([each, each]) for each in (x, MASK, seed)]
    for found in jax.jit(jax.vmap(jax.grad(loss)))(*two):
        np.testing.assert_allclose(found, due, atol=1e-5)


@on_jax
@pytest.mark.parametrize("size", [4], indirect=True)
def test_the_gradient_in_blocks_has_a_derivative_forwards_and_backwards(size):
    import jax

    def slope_of(attend):
        def loss(x):
            return ops.sum(ops.sin(attend(x, x, x, causal=True, key_mask=MASK)))

        return jax.grad(loss)

    x, along = random(2, 11, 2, 6), random(2, 11, 2, 6, seed=1)
    blocks, whole = (
        slope_of(attend) for attend in (attention, lambda *a, **b: attention_and_scores(*a, **b)[0])
    )
    forwards = jax.jit(lambda slope: jax.jvp(slope, (x,), (along,))[1], static_argnums=0)
    backwards = jax.jit(lambda slope: jax.vjp(slope, x)[1](along)[0], static_argnums=0)
    due = forwards(whole)
    np.testing.assert_allclose(forwards(blocks), due, atol=1e-5)
    np.testing.assert_allclose(backwards(blocks), due, atol=1e-5)


@on_jax
def test_a_block_takes_over_the_memory_of_the_one_before():
    """Twice as many blocks of the same size, with the same keys, take less than twice the memory."""
    import jax

    def scratch(t):
        def loss(query, key):
            return ops.sum(ops.sin(attention(query, key, key, bias=slope, weights=[steepness])))

        steepness = ops.ones((4,))
        given = (jax.ShapeDtypeStruct((1, n, 4, 8), "float32") for n in (t, 2048))
        compiled = jax.jit(jax.grad(loss, (0, 1))).lower(*given).compile()
        return compiled.memory_analysis().temp_size_in_bytes

    assert scratch(1024) < 1.5 * scratch(512)


@pytest.mark.skipif(keras.backend.backend() != "torch", reason="traces for a file of PyTorch")
@pytest.mark.parametrize("g", [1, 2, 4])
@pytest.mark.parametrize("seen", [{}, {"causal": True}, {"key_mask": MASK}, {"window": 3}])
def test_what_is_traced_for_a_file_is_what_runs(seen, g):
    import torch

    def run(query, key, value):
        return attention(query, key, value, **seen)

    inputs = [torch.as_tensor(random(2, 11, n, 6, seed=n)) for n in (4, g, g)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", torch.jit.TracerWarning)
        traced = torch.jit.trace(run, inputs)
    np.testing.assert_allclose(traced(*inputs).cpu(), run(*inputs).cpu(), atol=1e-5)
    kernels = traced.graph.findAllNodes("aten::scaled_dot_product_attention")
    assert not any(list(kernel.inputs())[-1].toIValue() for kernel in kernels)  # `enable_gqa`
