import keras
import numpy as np
import pytest
from arrays import close, random
from keras import layers, ops

from layerzoo import WindowAttention


def reference(x, weights, num_heads, window_size, shift=0, use_bias=True, mask=None):
    """The docstring's equation in float64, one pixel at a time: no padding, no roll."""
    batch, height, width, channels = x.shape
    h, w = channels // num_heads, window_size
    bias = weights["query_key_value/bias"] if use_bias else 0
    y = np.zeros(x.shape)
    for b in range(batch):
        pixels = [(i, j) for i, j in np.ndindex(height, width) if mask is None or mask[b, i, j]]
        heads = {
            p: (x[b][p] @ weights["query_key_value/kernel"] + bias).reshape(num_heads, 3, h)
            for p in pixels
        }
        window = {(i, j): ((i - shift) // w, (j - shift) // w) for i, j in pixels}
        for p in pixels:
            seen = [r for r in pixels if window[r] == window[p]]
            together = []
            for n in range(num_heads):
                logits = []
                for r in seen:
                    row = (p[0] - r[0] + w - 1) * (2 * w - 1) + p[1] - r[1] + w - 1
                    product = heads[p][n, 0] @ heads[r][n, 1] / np.sqrt(h)
                    logits.append(product + weights["offset_bias"][row, n])
                scores = np.exp(np.array(logits) - max(logits))
                together.append(scores @ [heads[r][n, 2] for r in seen] / scores.sum())
            y[b][p] = np.concatenate(together) @ weights["output/kernel"] + weights["output/bias"]
    return y


def built(randomise, channels=6, **config):
    layer = WindowAttention(**{"num_heads": 2, "window_size": 3, **config})
    layer.build((None, None, None, channels))
    return layer, randomise(layer)


def padded(*shape):
    """A mask whose second sample is shorter and narrower than the first, with a hole in it."""
    mask = np.ones(shape, bool)
    mask[1, -2:] = mask[1, :, :1] = mask[1, 1:2, 1:2] = False
    return mask


@pytest.mark.parametrize(
    ("shape", "masked", "config"),
    [
        ((2, 6, 6, 6), False, dict()),
        ((2, 6, 6, 6), False, dict(shift=1, num_heads=3, use_bias=False)),
        ((2, 5, 7, 6), True, dict()),
        ((2, 5, 7, 6), False, dict(shift=2, num_heads=1)),
        ((2, 5, 7, 6), True, dict(shift=2, window_size=4)),
        ((2, 2, 3, 6), False, dict(window_size=4)),
        ((2, 1, 1, 6), True, dict(window_size=1)),
    ],
    ids=str,
)
def test_equals_the_reference(randomise, shape, masked, config):
    layer, weights = built(randomise, **config)
    x, mask = random(*shape), padded(*shape[:3]) if masked else None
    config = {"num_heads": 2, "window_size": 3, **config}
    expected = reference(x, weights, mask=mask, **config)
    close(layer(x, mask=mask), expected)


@pytest.mark.parametrize("shift", [0, 2])
def test_equals_swin_in_torch(randomise, shift):
    """Roll, cut, mask the parts of a window from each other, attend, join, roll back."""
    torch = pytest.importorskip("torch", reason="the other side of the comparison is PyTorch")
    functional = torch.nn.functional
    layer, weights = built(randomise, channels=8, window_size=4, shift=shift)
    weights = {path: torch.tensor(value, dtype=torch.float32) for path, value in weights.items()}
    w, n, (b, height, width, c) = 4, 2, (2, 8, 12, 8)
    x = random(b, height, width, c)

    def cut(image):  # (b, y, x, c) to (windows, w * w, c)
        image = image.unflatten(1, (-1, w)).unflatten(3, (-1, w)).transpose(2, 3)
        return image.reshape(-1, w * w, image.shape[-1])

    rolled = torch.roll(torch.from_numpy(x), (-shift, -shift), (1, 2))
    projected = functional.linear(
        cut(rolled), weights["query_key_value/kernel"].T, weights["query_key_value/bias"]
    )
    query, key, value = projected.unflatten(-1, (n, 3, -1)).permute(3, 0, 2, 1, 4)

    places = torch.stack(torch.meshgrid(torch.arange(w), torch.arange(w), indexing="ij")).flatten(1)
    offset = (places[:, :, None] - places[:, None, :]) + w - 1
    added = weights["offset_bias"][offset[0] * (2 * w - 1) + offset[1]].permute(2, 0, 1)
    if shift:
        regions = torch.zeros(1, height, width, 1)
        bands = [slice(0, -w), slice(-w, -shift), slice(-shift, None)]
        for i, (rows, columns) in enumerate((r, s) for r in bands for s in bands):
            regions[:, rows, columns] = i
        regions = cut(regions).squeeze(-1)
        apart = regions[:, :, None] != regions[:, None, :]
        apart = torch.zeros(apart.shape).masked_fill(apart, -float("inf"))
        added = added + apart.repeat(b, 1, 1)[:, None]
    attended = functional.scaled_dot_product_attention(query, key, value, attn_mask=added)
    outputs = functional.linear(
        attended.transpose(1, 2).flatten(-2), weights["output/kernel"].T, weights["output/bias"]
    )
    outputs = outputs.reshape(b, height // w, width // w, w, w, c).transpose(2, 3)
    outputs = torch.roll(outputs.reshape(b, height, width, c), (shift, shift), (1, 2))
    close(layer(x), outputs.numpy())


def test_a_pixel_sees_its_window_and_nothing_else(randomise):
    layer, _ = built(randomise, shift=1)
    x = random(1, 5, 7, 6)
    before = ops.convert_to_numpy(layer(x))
    row, column = ((np.arange(size) - 1) // 3 for size in (5, 7))
    for place in [(0, 0), (0, 3), (2, 2), (4, 6), (1, 0)]:
        moved = x.copy()
        moved[0][place] += 1
        changed = np.abs(ops.convert_to_numpy(layer(moved)) - before).max(-1)[0] > 1e-4
        same = (row == row[place[0]])[:, None] & (column == column[place[1]])
        np.testing.assert_array_equal(changed, same)


def test_a_mask_of_rows_and_one_of_pixels_are_alike_and_as_good_as_a_smaller_image(randomise):
    layer, _ = built(randomise, shift=1)
    x, rows = random(2, 5, 7, 6), np.array([[1, 1, 1, 0, 0]] * 2, bool)
    by_rows = ops.convert_to_numpy(layer(x, mask=rows))
    by_pixels = layer(x, mask=np.broadcast_to(rows[..., None], (2, 5, 7)))
    np.testing.assert_array_equal(ops.convert_to_numpy(by_pixels), by_rows)
    assert not by_rows[:, 3:].any()
    close(by_rows[:, :3], layer(x[:, :3]))


@pytest.mark.parametrize("training", [False, True])
def test_returned_scores_are_the_ones_that_give_the_outputs(randomise, training):
    layer, weights = built(randomise, shift=1, dropout=0.5, seed=1)
    x, mask = random(2, 5, 6, 6), padded(2, 5, 6)
    outputs, scores = layer(x, mask=mask, return_attention_scores=True, training=training)
    assert tuple(scores.shape) == (2, 2, 2, 2, 9, 9)
    scores = ops.convert_to_numpy(scores)
    clean = np.where(mask[..., None], x, 0)
    value = clean @ weights["query_key_value/kernel"] + weights["query_key_value/bias"]
    value = value.reshape(2, 5, 6, 2, 3, 3)[..., 2, :].reshape(2, 5, 6, 6)
    value = np.roll(np.pad(value, ((0, 0), (0, 1), (0, 0), (0, 0))), (-1, -1), (1, 2))
    value = value.reshape(2, 2, 3, 2, 3, 2, 3).transpose(0, 1, 3, 2, 4, 5, 6)
    attended = np.einsum("byxnts,byxsnh->byxtnh", scores, value.reshape(2, 2, 2, 9, 2, 3))
    attended = attended.reshape(2, 2, 2, 3, 3, 6).swapaxes(2, 3).reshape(2, 6, 6, 6)
    attended = np.roll(attended, (1, 1), (1, 2))[:, :5]
    expected = attended @ weights["output/kernel"] + weights["output/bias"]
    close(outputs, np.where(mask[..., None], expected, 0))
    if training:
        dropped, sure = (
            layer(x, training=flag, return_attention_scores=True)[1] for flag in (1, 0)
        )
        sure = ops.convert_to_numpy(sure)
        assert 0.3 < np.mean(ops.convert_to_numpy(dropped)[sure > 0] == 0) < 0.7
    else:
        sums = scores.sum(-1)
        np.testing.assert_allclose(sums[sums > 0], 1, atol=1e-6)
        assert (sums > 0).sum() == 2 * mask.sum()


def test_sizes_may_be_unknown_in_every_kind_of_model(randomise):
    layer, weights = built(randomise, shift=1)
    inputs = keras.Input((None, None, 6))
    functional = keras.Model(inputs, layer(inputs))
    sequential = keras.Sequential([keras.Input((None, None, 6)), layers.Masking(), layer])
    for shape in [(2, 4, 7, 6), (1, 3, 3, 6)]:
        x = random(*shape)
        close(functional.predict(x, verbose=0), reference(x, weights, 2, 3, 1))
        x[:, -1] = x[:, 0, 0] = 0  # which is padding for `Masking`
        expected = reference(x, weights, 2, 3, 1, mask=x.any(-1))
        close(sequential.predict(x, verbose=0), expected)
