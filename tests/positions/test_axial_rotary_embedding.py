import keras
import numpy as np
import pytest
from arrays import random
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

from layerzoo import AxialRotaryEmbedding, RotaryEmbedding, SelfAttention


def reference(x, places, base=10_000.0, sections=None):
    """One pair of one step at a time, as a complex number that is turned."""
    *_, width = x.shape
    axes, half = places.shape[-1], width // 2
    pairs = sections or [half // axes] * axes
    y = np.empty(x.shape)
    for b, t in np.ndindex(x.shape[:2]):
        i = 0
        for axis in range(axes):
            for j in range(pairs[axis]):
                exponent = i / half if sections else j / pairs[axis]
                turn = np.exp(1j * places[b, t, axis] * base**-exponent)
                turned = (x[b, t, ..., i] + 1j * x[b, t, ..., i + half]) * turn
                y[b, t, ..., i], y[b, t, ..., i + half] = turned.real, turned.imag
                i += 1
    return y


def grid(batch, *sizes):
    """The coordinates of each place, row by row: `(batch, places, axes)`."""
    return np.broadcast_to(list(np.ndindex(*sizes)), (batch, np.prod(sizes), len(sizes)))


def turned(x, axes, positions=None, offset=0, **config):
    layer = AxialRotaryEmbedding(axes, **config)
    return ops.convert_to_numpy(layer(x, positions=positions, offset=offset))


def near(y, expected):
    np.testing.assert_allclose(y, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


@settings(max_examples=25, deadline=None, derandomize=True, database=None)
@given(
    sizes=st.sampled_from([(2, 3), (3, 2), (1, 4), (2, 2, 2), (1, 2, 3), (2, 1, 2, 1)]),
    heads=st.sampled_from([(), (3,), (2, 2)]),
    endless=st.booleans(),
    cut=st.booleans(),
    base=st.sampled_from([10_000.0, 50.0]),
    own=st.booleans(),
    seed=st.integers(0, 99),
)
def test_equals_the_reference(sizes, heads, endless, cut, base, own, seed):
    rng = np.random.default_rng(seed)
    sections = [int(n) for n in rng.integers(1, 4, size=len(sizes))] if cut else None
    width = 2 * sum(sections) if cut else 4 * len(sizes)
    x = random(2, int(np.prod(sizes)), *heads, width, seed=seed)
    places = rng.integers(0, 30, size=(*x.shape[:2], len(sizes))) if own else grid(2, *sizes)
    axes = (None, *sizes[1:]) if endless else sizes
    y = turned(x, axes, places if own else None, base=base, sections=sections)
    near(y, reference(x, places, base, sections))


def test_along_one_axis_it_is_the_rotary_embedding():
    x = random(2, 5, 8)
    rows = turned(x, (5, 1))
    columns = turned(x, (1, 5))
    first, second = [0, 1, 4, 5], [2, 3, 6, 7]  # the features of each axis
    plain = ops.convert_to_numpy(RotaryEmbedding()(x[..., first]))
    near(rows[..., first], plain)
    np.testing.assert_array_equal(rows[..., second], x[..., second])
    near(columns[..., second], ops.convert_to_numpy(RotaryEmbedding()(x[..., second])))
    np.testing.assert_array_equal(columns[..., first], x[..., first])


def test_sections_with_equal_coordinates_are_the_rotary_embedding():
    x = random(2, 7, 3, 12)
    positions = np.arange(7)[:, None].repeat(3, axis=1)
    y = turned(x, (None, None, None), positions, sections=(1, 3, 2))
    near(y, ops.convert_to_numpy(RotaryEmbedding()(x)))


@pytest.mark.parametrize("sections", [None, (1, 3)])
def test_inner_products_depend_only_on_the_difference_of_places(sections):
    query, key = random(8), random(8, seed=1)
    queries, keys = (
        turned(np.broadcast_to(each, (1, 12, 8)).copy(), (3, 4), sections=sections)[0]
        for each in (query, key)
    )
    products = queries @ keys.T
    seen = {}
    for i, j in np.ndindex(12, 12):
        difference = (i // 4 - j // 4, i % 4 - j % 4)
        seen.setdefault(difference, []).append(products[i, j])
    assert len(seen) == 5 * 7
    assert max(np.ptp(same) for same in seen.values()) < 1e-5
    assert np.ptp(products) > 0.1


def test_offset_counts_steps_row_by_row_and_may_differ_by_sample():
    x = random(2, 6, 8)
    whole = turned(x, (2, 3))
    near(turned(x[:, 4:], (2, 3), offset=4), whole[:, 4:])
    y = turned(x[:, :2], (2, 3), offset=np.array([0, 4]))
    near(y[0], whole[0, :2])
    near(y[1], turned(x[1:, :2], (None, 3), offset=4)[0])


def test_positions_may_be_fractions():
    x, positions = random(2, 5, 8), random(5, 2, seed=1)
    expected = reference(x, np.broadcast_to(positions, (2, 5, 2)))
    near(turned(x, (None, None), positions), expected)


@pytest.mark.parametrize(("dtype", "unit"), [("float16", 2.0**-11), ("bfloat16", 2.0**-8)])
def test_angles_are_exact_far_out_in_half_precision(dtype, unit):
    x = np.ones((1, 6, 8), "float32")
    positions = 5000 + grid(1, 2, 3)
    y = AxialRotaryEmbedding((None, None), dtype=dtype)(ops.cast(x, dtype), positions=positions)
    assert keras.backend.standardize_dtype(y.dtype) == dtype
    y = ops.convert_to_numpy(ops.cast(y, "float32"))
    np.testing.assert_allclose(y, reference(x, positions), atol=4.5 * unit)


def test_attention_of_a_grid_does_not_care_where_the_grid_begins():
    attention = SelfAttention(2, position=AxialRotaryEmbedding((2, 3)))
    x = random(2, 6, 16)
    y = ops.convert_to_numpy(attention(x))
    moved = AxialRotaryEmbedding((None, None))
    positions = np.array([10, 7]) + grid(2, 2, 3)

    class Moved(keras.layers.Layer):
        def call(self, inputs):
            return moved(inputs, positions=positions)

    other = SelfAttention(2, position=Moved())
    other.build(x.shape)
    other.set_weights(attention.get_weights())
    near(y, ops.convert_to_numpy(other(x)))


@pytest.mark.parametrize(
    ("config", "shape", "message"),
    [
        (dict(axes=(2, 2)), (2, 4, 6), r"multiple of 4.*Received: input_shape=\(2, 4, 6\)"),
        (dict(axes=(2, 2), sections=(1, 2)), (2, 4, 8), r"twice the sum.*sections=\(1, 2\)"),
        (dict(axes=(2, 2)), (2, 5, 8), r"more steps than places.*axes=\(2, 2\)"),
        (dict(axes=(2, None)), (2, 4, 8), r"`positions` must be given.*axes=\(2, None\)"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(config, shape, message):
    with pytest.raises(ValueError, match=message):
        AxialRotaryEmbedding(**config)(random(*shape))


@pytest.mark.parametrize("shape", [(5, 3), (4, 2), (3, 5, 2), (2, 5), (5,), (2, 2, 5, 2)])
def test_positions_of_another_shape_are_refused(shape):
    layer = AxialRotaryEmbedding((None, None))
    with pytest.raises(ValueError, match=r"shape \(5, 2\) or \(2, 5, 2\)\. Received: positions of"):
        layer(random(2, 5, 8), positions=np.zeros(shape))


def test_positions_leave_nothing_for_an_offset():
    layer = AxialRotaryEmbedding((None, None))
    with pytest.raises(ValueError, match=r"`offset` must be 0 .*Received: offset=3"):
        layer(random(2, 5, 8), positions=np.zeros((5, 2)), offset=3)


def test_time_may_be_unknown_and_the_mask_passes():
    model = keras.Sequential(
        [
            keras.Input((None, 4)),
            keras.layers.Masking(),
            AxialRotaryEmbedding((None, 2)),
            keras.layers.GlobalAveragePooling1D(),
        ]
    )
    x = random(2, 6, 4)
    x[:, 3:] = 0
    expected = reference(x, grid(2, 3, 2))[:, :3].mean(axis=1)
    np.testing.assert_allclose(model.predict(x, verbose=0), expected, atol=1e-5)
