import keras
import numpy as np
import pytest
from arrays import INSIDE, LEFT, RIGHT, close, random
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers, ops

from layerzoo import EfficientChannelAttention


def reference(x, kernel, mask):
    """Equations 5 and 7 of the paper for channels last, one sample at a time, padding left out."""
    y, size, channels = np.zeros(x.shape), len(kernel), x.shape[-1]
    for b in range(len(x)):
        positions = [p for p in np.ndindex(x.shape[1:-1]) if mask[b][p[0]]]
        if positions:
            means = sum(x[b][p].astype("float64") for p in positions) / len(positions)
            for c in range(channels):
                beside = range(c - size // 2, c + size // 2 + 1)
                near = [(i, n) for i, n in enumerate(beside) if 0 <= n < channels]
                gate = 1 / (1 + np.exp(-sum(kernel[i] * means[n] for i, n in near)))
                for p in positions:
                    y[b][(*p, c)] = gate * x[b][(*p, c)]
    return y


def built(randomise, channels=8, **config):
    layer = EfficientChannelAttention(**config)
    layer.build((None, channels, channels))
    return layer, randomise(layer)["convolution/kernel"][:, 0, 0]


def everywhere(x):
    return np.ones(x.shape[:2], bool)


@settings(max_examples=25, deadline=None, derandomize=True, database=None)
@given(
    shape=st.sampled_from([(2, 5, 6), (2, 5, 3, 8), (2, 5, 2, 3, 1)]),
    gamma=st.sampled_from([2, 0.7]),
    beta=st.sampled_from([1, 2.5]),
    data_format=st.sampled_from(["channels_last", "channels_first"]),
    mask=st.sampled_from([None, [LEFT, RIGHT], [INSIDE, [0] * 5]]),
    seed=st.integers(0, 99),
)
def test_equals_the_reference(randomise, shape, gamma, beta, data_format, mask, seed):
    layer = EfficientChannelAttention(gamma, beta, data_format=data_format)
    x = random(*shape, seed=seed)
    given = x if data_format == "channels_last" else np.moveaxis(x, -1, 1).copy()
    layer.build(given.shape)
    kernel = randomise(layer, seed)["convolution/kernel"][:, 0, 0]
    mask = None if mask is None else np.array(mask, bool)
    expected = reference(x, kernel, everywhere(x) if mask is None else mask)
    y = ops.convert_to_numpy(layer(given, mask=mask))
    close(y if data_format == "channels_last" else np.moveaxis(y, 1, -1), expected)


@pytest.mark.parametrize(
    ("channels", "config", "size"),
    [
        (1, {}, 1),
        (4, {}, 1),
        (8, {}, 3),
        (64, {}, 3),
        (128, {}, 5),
        (512, {}, 5),
        (2048, {}, 7),
        (64, dict(gamma=1), 7),
        (64, dict(beta=4), 5),
    ],
)
def test_the_kernel_has_the_paper_s_size_and_is_all_there_is(channels, config, size):
    layer = EfficientChannelAttention(**config)
    layer.build((None, None, None, channels))
    assert [tuple(weight.shape) for weight in layer.weights] == [(size, 1, 1)]


@pytest.mark.parametrize(("channels", "size"), [(32, 3), (128, 5)])
def test_equals_a_convolution_over_channels_in_torch(randomise, channels, size):
    torch = pytest.importorskip("torch", reason="the other side of the comparison is PyTorch")
    layer, kernel = built(randomise, channels)
    convolution = torch.nn.Conv1d(1, 1, size, padding=size // 2, bias=False)
    convolution.weight.data = torch.tensor(kernel, dtype=torch.float32)[None, None]
    x = random(2, 5, 7, channels)
    z = torch.from_numpy(x).permute(0, 3, 1, 2)
    gate = torch.sigmoid(convolution(z.mean((2, 3))[:, None]))[:, 0, :, None, None]
    close(layer(x), (z * gate).permute(0, 2, 3, 1).detach().numpy())


def test_sizes_may_be_unknown_in_every_kind_of_model(randomise):
    layer, kernel = built(randomise)
    inputs = keras.Input((None, None, 8))
    functional = keras.Model(inputs, layer(inputs))
    sequential = keras.Sequential(
        [keras.Input((None, 8)), layers.Masking(), layer, layers.GlobalAveragePooling1D()]
    )
    for shape in [(2, 3, 4, 8), (1, 1, 5, 8)]:
        x = random(*shape)
        close(functional.predict(x, verbose=0), reference(x, kernel, everywhere(x)))
    x, mask = random(2, 5, 8), np.array([RIGHT] * 2, bool)
    expected = reference(x, kernel, mask)[:, :3].mean(axis=1)
    close(sequential.predict(x * mask[..., None], verbose=0), expected)


@pytest.mark.parametrize(
    ("policy", "unit"), [("mixed_float16", 2.0**-11), ("mixed_bfloat16", 2.0**-8)]
)
def test_half_precision_stays_near_float32(randomise, policy, unit):
    precise, _ = built(randomise)
    half, _ = built(randomise, dtype=policy)
    x = random(2, 80_000, 8) + 1  # a sum of which float16 cannot hold
    y = half(x)
    assert keras.backend.standardize_dtype(y.dtype) == half.compute_dtype
    close(ops.cast(y, "float32"), precise(x), relative=4 * unit)
