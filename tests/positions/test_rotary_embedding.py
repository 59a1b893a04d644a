import keras
import numpy as np
import pytest
from arrays import random
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

from layerzoo import RotaryEmbedding

LLAMA3 = dict(
    rope_type="llama3",
    factor=8.0,
    low_freq_factor=1.0,
    high_freq_factor=4.0,
    original_max_position_embeddings=16,
)
YARN = dict(rope_type="yarn", factor=4.0, original_max_position_embeddings=40)


def llama3(frequency, factor, low_freq_factor, high_freq_factor, original_max_position_embeddings):
    """Three cases by the wavelength, as Meta published them with Llama 3.1."""
    wavelength = 2 * np.pi / frequency
    longest = original_max_position_embeddings / low_freq_factor
    shortest = original_max_position_embeddings / high_freq_factor
    if wavelength < shortest:
        return frequency
    if wavelength > longest:
        return frequency / factor
    smooth = original_max_position_embeddings / wavelength - low_freq_factor
    smooth /= high_freq_factor - low_freq_factor
    return (1 - smooth) * frequency / factor + smooth * frequency


def yarn(i, width, base, factor, original_max_position_embeddings, fast=32, slow=1):
    """Equations 16 to 23 of YaRN's paper, with the edges rounded outwards, as in the authors' code."""

    def pair_that_turns(often):
        return (
            np.log(original_max_position_embeddings / often / 2 / np.pi) * width / 2 / np.log(base)
        )

    low = max(np.floor(pair_that_turns(fast)), 0)
    high = min(np.ceil(pair_that_turns(slow)), width - 1)
    gamma = 1 - np.clip((i - low) / (high - low), 0, 1)
    frequency = base ** (-2 * i / width)
    return (1 - gamma) * frequency / factor + gamma * frequency, 0.1 * np.log(factor) + 1


def reference(x, base=10_000.0, layout="half", scaling=1.0, fraction=1.0, offset=0):
    """Equation 15 of the paper: a block-diagonal matrix of 2 x 2 rotations for each position."""
    batch, time, *_, width = x.shape
    rotated = int(width * fraction)
    half = rotated // 2
    offsets = np.broadcast_to(offset, batch)
    y = np.empty(x.shape)
    for b in range(batch):
        for t in range(time):
            matrix = np.eye(width)
            for i in range(half):
                frequency, size = base ** (-2 * i / rotated), 1.0
                if not isinstance(scaling, dict):
                    frequency = frequency / scaling
                else:
                    numbers = {key: scaling[key] for key in scaling if key != "rope_type"}
                    if scaling["rope_type"] == "yarn":
                        frequency, size = yarn(i, rotated, base, **numbers)
                    else:
                        frequency = llama3(frequency, **numbers)
                angle = (offsets[b] + t) * frequency
                first, second = (i, i + half) if layout == "half" else (2 * i, 2 * i + 1)
                matrix[first, first] = matrix[second, second] = size * np.cos(angle)
                matrix[second, first] = size * np.sin(angle)
                matrix[first, second] = -size * np.sin(angle)
            y[b, t] = x[b, t] @ matrix.T
    return y


def turned(x, offset=0, **config):
    return ops.convert_to_numpy(RotaryEmbedding(**config)(x, offset=offset))


@settings(max_examples=25, deadline=None, derandomize=True, database=None)
@given(
    shape=st.sampled_from([(2, 5, 12), (1, 3, 4), (2, 5, 3, 8), (2, 3, 2, 2, 4)]),
    base=st.sampled_from([10_000.0, 50.0]),
    layout=st.sampled_from(["half", "interleaved"]),
    scaling=st.sampled_from([1.0, 4.0, LLAMA3, YARN]),
    fraction=st.sampled_from([1.0, 0.5]),
    offset=st.sampled_from([0, 3, "per sample"]),
    seed=st.integers(0, 99),
)
def test_equals_the_reference(shape, offset, seed, **config):
    x = random(*shape, seed=seed)
    if offset == "per sample":
        offset = np.random.default_rng(seed).integers(0, 20, size=shape[0])
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


def test_a_fraction_is_rounded_down_and_leaves_the_other_features_alone():
    x = random(2, 9, 10)
    y = turned(x, fraction=0.49)  # 4 of 10 features
    np.testing.assert_array_equal(y[..., 4:], x[..., 4:])
    np.testing.assert_allclose(y[..., :4], turned(x[..., :4].copy()), atol=1e-6)
    assert np.abs(y[:, 1:, :4] - x[:, 1:, :4]).min(axis=(0, 1)).max() > 1e-4


@pytest.mark.parametrize("fraction", [0.5, 0.1])
def test_a_fraction_that_is_no_number_of_pairs_is_refused(fraction):
    layer = RotaryEmbedding(fraction=fraction)
    message = rf"even size above 0.*Received: input_shape=\(2, 3, 6\), fraction={fraction}"
    with pytest.raises(ValueError, match=message):
        layer(random(2, 3, 6))
    assert not layer.built


def test_the_fast_pairs_are_kept_and_the_slow_ones_are_divided():
    x, far = random(1, 3, 64), dict(base=10_000.0, offset=50)
    for scaling in (
        dict(LLAMA3, original_max_position_embeddings=256),
        dict(YARN, attention_factor=1),
    ):
        plain, divided = turned(x, **far), turned(x, scaling=scaling["factor"], **far)
        y = turned(x, scaling=scaling, **far)
        np.testing.assert_allclose(y[..., 0], plain[..., 0], atol=1e-5)
        np.testing.assert_allclose(y[..., 31], divided[..., 31], atol=1e-5)
        assert np.abs(y - plain).max() > 0.1
        assert np.abs(y - divided).max() > 0.1


@pytest.mark.parametrize(
    ("more", "size"),
    [
        (dict(), 0.1 * np.log(4) + 1),
        (dict(attention_factor=0.7), 0.7),
        (dict(mscale=1.0), 0.1 * np.log(4) + 1),
        (dict(mscale=2.0, mscale_all_dim=0.5), (0.2 * np.log(4) + 1) / (0.05 * np.log(4) + 1)),
        (dict(factor=0.5), 1.0),
    ],
)
def test_yarn_makes_the_rotated_features_larger(more, size):
    x = random(2, 5, 8)
    y = turned(x, scaling={**YARN, **more}, fraction=0.5)
    norms = [np.linalg.norm(each[..., :4], axis=-1) for each in (x, y)]
    np.testing.assert_allclose(norms[1], size * norms[0], rtol=1e-5)
    np.testing.assert_array_equal(y[..., 4:], x[..., 4:])


def test_a_dict_is_copied_and_survives_a_file(tmp_path):
    given = dict(YARN, factor=np.float32(4), truncate=np.bool_(False))
    layer = RotaryEmbedding(scaling=given)
    given["factor"] = 9.0
    kept = layer.get_config()["scaling"]
    assert kept == dict(YARN, truncate=False)
    assert type(kept) is dict
    kept["factor"] = 9.0
    assert layer.get_config()["scaling"]["factor"] == 4.0
    model = keras.Sequential([keras.Input((5, 8)), layer])
    model.save(tmp_path / "model.keras")
    x = random(2, 5, 8)
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(ops.convert_to_numpy(loaded(x)), ops.convert_to_numpy(model(x)))
