import keras
import numpy as np
import pytest
from arrays import random
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

from layerzoo import RotaryEmbedding


def reference(x, base=10_000.0, layout="half", scaling=1.0, offset=0):
    """Equation 15 of the paper: a block-diagonal matrix of 2 x 2 rotations for each position."""
    batch, time, *_, width = x.shape
    half = width // 2
    offsets = np.broadcast_to(offset, batch)
    y = np.empty(x.shape)
    for b in range(batch):
        for t in range(time):
            matrix = np.zeros((width, width))
            for i in range(half):
                angle = (offsets[b] + t) / scaling * base ** (-2 * i / width)
                first, second = (i, i + half) if layout == "half" else (2 * i, 2 * i + 1)
                matrix[first, first] = matrix[second, second] = np.cos(angle)
                matrix[second, first] = np.sin(angle)
                matrix[first, second] = -np.sin(angle)
            y[b, t] = x[b, t] @ matrix.T
    return y


def turned(x, offset=0, **config):
    return ops.convert_to_numpy(RotaryEmbedding(**config)(x, offset=offset))


@settings(max_examples=25, deadline=None, derandomize=True, database=None)
@given(
    shape=st.sampled_from([(2, 5, 6), (1, 3, 4), (2, 5, 3, 4), (2, 3, 2, 2, 2)]),
    base=st.sampled_from([10_000.0, 50.0]),
    layout=st.sampled_from(["half", "interleaved"]),
    scaling=st.sampled_from([1.0, 4.0]),
    offset=st.sampled_from([0, 3, "per sample"]),
    seed=st.integers(0, 99),
)
def test_equals_the_reference(shape, base, layout, scaling, offset, seed):
    x = random(*shape, seed=seed)
    if offset == "per sample":
        offset = np.random.default_rng(seed).integers(0, 20, size=shape[0])
    config = dict(base=base, layout=layout, scaling=scaling)
    expected = reference(x, offset=offset, **config)
    np.testing.assert_allclose(
        turned(x, offset, **config), expected, rtol=0, atol=1e-5 * np.abs(expected).max()
    )


@pytest.mark.parametrize("layout", ["half", "interleaved"])
def test_equals_complex_multiplication_in_torch(layout):
    torch = pytest.importorskip("torch", reason="the other side of the comparison is PyTorch")
    x = random(2, 5, 3, 8)
    half = torch.from_numpy(x).unflatten(-1, (2, 4) if layout == "half" else (4, 2))
    real, imaginary = half.unbind(-2 if layout == "half" else -1)
    angle = torch.outer(torch.arange(5.0), 10_000.0 ** (-torch.arange(0, 8, 2) / 8))
    product = torch.complex(real, imaginary) * torch.polar(torch.ones(5, 4), angle)[:, None]
    parts = torch.stack([product.real, product.imag], -2 if layout == "half" else -1)
    np.testing.assert_allclose(turned(x, layout=layout), parts.flatten(-2).numpy(), atol=1e-5)


@pytest.mark.parametrize("layout", ["half", "interleaved"])
def test_inner_products_depend_only_on_the_distance(layout):
    query, key = random(8), random(8, seed=1)
    queries = turned(np.broadcast_to(query, (1, 12, 8)).copy(), layout=layout)[0]
    keys = turned(np.broadcast_to(key, (1, 12, 8)).copy(), layout=layout)[0]
    products = queries @ keys.T
    for distance in range(-11, 12):
        diagonal = np.diagonal(products, distance)
        np.testing.assert_allclose(diagonal, diagonal[0], atol=1e-5)
    assert np.ptp(products) > 0.1


def test_norms_are_kept():
    x = random(2, 50, 6)
    np.testing.assert_allclose(
        np.linalg.norm(turned(x), axis=-1), np.linalg.norm(x, axis=-1), rtol=1e-5
    )


def test_offset_is_the_position_of_the_first_step():
    x = random(2, 9, 6)
    np.testing.assert_allclose(turned(x[:, 4:], offset=4), turned(x)[:, 4:], atol=1e-6)


def test_each_sample_may_have_its_own_offset():
    x = random(3, 4, 6)
    together = turned(x, offset=np.array([0, 7, 2]))
    alone = [turned(x[i : i + 1], offset=offset)[0] for i, offset in enumerate([0, 7, 2])]
    np.testing.assert_allclose(together, np.stack(alone), atol=1e-6)


@pytest.mark.parametrize(("dtype", "unit"), [("float16", 2.0**-11), ("bfloat16", 2.0**-8)])
def test_angles_are_exact_far_out_in_half_precision(dtype, unit):
    # Angles in half precision would be wrong by whole turns: neither type tells 5000 from 5001.
    x = np.ones((1, 8, 4), "float32")
    y = RotaryEmbedding(dtype=dtype)(ops.cast(x, dtype), offset=5000)
    assert keras.backend.standardize_dtype(y.dtype) == dtype
    y = ops.convert_to_numpy(ops.cast(y, "float32"))
    np.testing.assert_allclose(y, reference(x, offset=5000), atol=4.5 * unit)


def test_time_may_be_unknown_and_the_mask_passes():
    model = keras.Sequential(
        [
            keras.Input((None, 4)),
            keras.layers.Masking(),
            RotaryEmbedding(),
            keras.layers.GlobalAveragePooling1D(),
        ]
    )
    x = random(2, 5, 4)
    x[:, 3:] = 0
    expected = reference(x)[:, :3].mean(axis=1)
    np.testing.assert_allclose(model.predict(x, verbose=0), expected, atol=1e-5)


def test_an_odd_or_unknown_width_is_refused():
    layer = RotaryEmbedding()
    with pytest.raises(ValueError, match=r"even size.*Received: input_shape=\(2, 3, 5\)"):
        layer(random(2, 3, 5))
    with pytest.raises(ValueError, match=r"known size.*Received: input_shape=\(None, 3, None\)"):
        layer(keras.Input((3, None)))
    with pytest.raises(ValueError, match=r"known size.*Received: input_shape=None"):
        layer.build(None)
    with pytest.raises(ValueError, match=r"min_ndim=3, found ndim=2"):
        layer(random(3, 4))
    assert not layer.built
    layer(random(2, 3, 6))
    with pytest.raises(ValueError, match=r"value 6, but received input with shape \(2, 3, 4\)"):
        layer(random(2, 3, 4))
