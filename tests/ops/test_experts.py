import keras
import numpy as np
import pytest
from arrays import close, random
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

from layerzoo.ops.experts import block_sizes, chosen, mixed, planned, shares


@settings(max_examples=60, deadline=None)
@given(
    num_experts=st.integers(1, 12),
    counts=st.lists(st.integers(0, 300), min_size=1, max_size=12),
)
def test_the_blocks_hold_any_spread(num_experts, counts):
    counts = counts[:num_experts]
    rows, blocks = block_sizes(sum(counts), num_experts)
    assert sum(-(-count // rows) for count in counts) <= blocks
    if sum(counts) >= 128 * num_experts:
        assert rows * blocks <= 1.3 * sum(counts)


@settings(max_examples=20, deadline=None)
@given(
    tokens=st.sampled_from([0, 1, 7, 90]),
    num_experts=st.sampled_from([1, 3, 8]),
    seed=st.integers(0, 99),
    padded=st.booleans(),
    share=st.sampled_from([None, 0.6]),
)
def test_each_row_has_its_own_choice_and_belongs_to_its_expert(
    tokens, num_experts, seed, padded, share
):
    rng = np.random.default_rng(seed)
    k = min(2, num_experts)
    experts = np.argsort(rng.random((tokens, num_experts)), axis=-1)[:, :k]
    valid = rng.random(tokens) < 0.7 if padded else None
    plan = planned(
        ops.convert_to_tensor(experts.astype("int32")),
        num_experts,
        None if valid is None else ops.convert_to_tensor(valid),
        share,
    )
    source, owner, row, taken, load = map(ops.convert_to_numpy, plan)
    valid = np.ones(tokens, bool) if valid is None else valid
    owners = np.broadcast_to(owner[:, None], source.shape)
    found = sorted((int(e), int(t) - 1) for e, t in zip(owners.flat, source.flat, strict=True) if t)
    due = sorted((int(experts[t, c]), int(t)) for t, c in np.argwhere(taken))
    assert found == due
    for t, c in np.argwhere(taken):
        assert source.flat[row[t, c]] == t + 1
        assert valid[t]
    assert (load == np.bincount(experts[valid].ravel(), minlength=num_experts)).all()
    most = np.ceil(share * valid.sum() * k / num_experts - 1e-4) if share else tokens
    assert taken.sum() == np.minimum(load, most).sum()


def test_first_choices_come_first_and_earlier_tokens_before_later_ones():
    experts = np.array([[0, 1], [1, 0], [1, 0], [0, 1]], "int32")
    plan = planned(ops.convert_to_tensor(experts), 2, None, 0.75)
    assert ops.convert_to_numpy(plan.taken).tolist() == [
        [True, True],
        [True, True],
        [True, False],
        [True, False],
    ]


def test_equal_scores_are_chosen_by_their_index():
    scores = ops.convert_to_tensor([[1.0, 3.0, 3.0, 2.0], [0.0, 0.0, 0.0, 0.0]])
    assert ops.convert_to_numpy(chosen(scores, 3)).tolist() == [[1, 2, 3], [0, 1, 2]]
    assert ops.convert_to_numpy(chosen(scores, 4)).tolist() == [[1, 2, 3, 0], [0, 1, 2, 3]]


def test_shares_sum_to_one_unless_there_is_one():
    scores, experts = random(5, 4) ** 2, ops.convert_to_tensor(np.array([[0, 2]] * 5, "int32"))
    close(ops.sum(shares(ops.convert_to_tensor(scores), experts), axis=-1), np.ones(5))
    close(shares(ops.convert_to_tensor(scores), experts[:, :1]), scores[:, :1])


@pytest.mark.parametrize("tokens", [3, 200])
def test_the_same_if_the_number_of_tokens_is_unknown(tokens):
    def both(x, experts):
        plan = planned(experts, 3)
        weights = ops.ones(ops.shape(experts))
        return mixed(x, weights, plan, lambda x, e: x * ops.cast(e, x.dtype)[:, None, None])

    rng = np.random.default_rng(0)
    x = random(tokens, 2)
    experts = np.argsort(rng.random((tokens, 3)), axis=-1)[:, :2].astype("int32")
    due = x * experts.sum(axis=-1, keepdims=True)
    close(both(ops.convert_to_tensor(x), ops.convert_to_tensor(experts)), due)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        specs = [tf.TensorSpec((None, 2), "float32"), tf.TensorSpec((None, 2), "int32")]
        close(tf.function(both, input_signature=specs)(x, experts), due)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="about graphs of TensorFlow")
def test_no_size_in_the_gradient_depends_on_values():
    """XLA compiles such a size by evaluating what it depends on: minutes for a thousand tokens."""
    import tensorflow as tf

    @tf.function
    def gradient(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            plan = planned(chosen(ops.matmul(x, random(8, 4)), 2), 4)
            y = mixed(x, ops.ones((6, 2)), plan, lambda blocks, owner: 2 * blocks)
        return tf.convert_to_tensor(tape.gradient(y, x))

    graph = gradient.get_concrete_function(tf.TensorSpec((6, 8))).graph
    assert "Where" not in {operation.type for operation in graph.get_operations()}
    close(gradient(tf.constant(random(6, 8))), np.full((6, 8), 4), 1e-6)
