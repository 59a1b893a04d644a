import math
import re

import keras
import numpy as np
import pytest
from arrays import INSIDE, LEFT, RIGHT, close, random
from keras import layers, ops

from layerzoo import PerceiverResampler


def reference(
    x,
    weights,
    mask,
    num_latents,
    num_heads,
    depth,
    head_dim=None,
    hidden_dim=None,
    use_bias=True,
    epsilon=1e-5,
):
    """The docstring's equations in float64, sample by sample, padding left out of the sequence."""
    h = head_dim or x.shape[-1] // num_heads

    def linear(name, z):
        return z @ weights[f"{name}/kernel"] + (weights[f"{name}/bias"] if use_bias else 0)

    def normalised(name, z):
        z = z - z.mean(axis=-1, keepdims=True)
        z = z / np.sqrt((z**2).mean(axis=-1, keepdims=True) + epsilon)
        return z * weights[f"{name}/gamma"] + weights[f"{name}/beta"]

    def attended(i, queries, context):
        query = linear(f"attention_{i}/query", queries).reshape(-1, num_heads, h)
        both = linear(f"attention_{i}/key_value", context).reshape(-1, num_heads, 2, h)
        result = np.zeros(query.shape)
        for q in range(len(query)):
            for n in range(num_heads):
                scores = np.exp(both[:, n, 0] @ query[q, n] / np.sqrt(h))
                result[q, n] = scores @ both[:, n, 1] / scores.sum()
        return linear(f"attention_{i}/output", result.reshape(len(query), num_heads * h))

    gelu = np.vectorize(lambda u: u * (1 + math.erf(u / math.sqrt(2))) / 2)
    outputs = []
    for steps, valid in zip(x, mask, strict=True):
        z = weights["latents"]
        for i in range(depth):
            queries = normalised(f"latent_norm_{i}", z)
            read = normalised(f"input_norm_{i}", steps[np.array(valid, bool)])
            z = z + attended(i, queries, np.concatenate([read, queries]))
            hidden = gelu(linear(f"expansion_{i}", normalised(f"hidden_norm_{i}", z)))
            z = z + linear(f"contraction_{i}", hidden)
        outputs.append(normalised("output_norm", z))
    return np.array(outputs)


def built(randomise, **config):
    layer = PerceiverResampler(**{**PLAIN, **config})
    layer.build((None, None, 8))
    return layer, randomise(layer)


PLAIN = dict(num_latents=3, num_heads=2, depth=2)
X = random(2, 5, 8)
NOTHING = [0] * 5


@pytest.mark.parametrize("masks", [None, [LEFT, RIGHT], [INSIDE, NOTHING]])
@pytest.mark.parametrize(
    "config", [{}, dict(depth=1, head_dim=6, hidden_dim=5, use_bias=False, epsilon=0.1)]
)
def test_equals_the_reference(randomise, config, masks):
    layer, weights = built(randomise, **config)
    mask = None if masks is None else np.array(masks, bool)
    valid = np.ones((2, 5)) if masks is None else mask
    close(layer(X, mask=mask), reference(X, weights, valid, **{**PLAIN, **config}))


def test_equals_open_flamingo_s_form_in_torch(randomise):
    torch = pytest.importorskip("torch", reason="the other side of the comparison is PyTorch")
    functional = torch.nn.functional
    layer, weights = built(randomise, head_dim=6, use_bias=False)
    weights = {path: torch.tensor(value, dtype=torch.float32) for path, value in weights.items()}

    def norm(name, z):
        return functional.layer_norm(z, (8,), weights[f"{name}/gamma"], weights[f"{name}/beta"])

    def linear(name, z):
        return functional.linear(z, weights[f"{name}/kernel"].T)

    def heads(z):
        return z.unflatten(-1, (2, 6)).transpose(1, 2)

    latents = weights["latents"].expand(2, -1, -1)
    for i in range(2):
        media, queries = (
            norm(f"input_norm_{i}", torch.from_numpy(X)),
            norm(f"latent_norm_{i}", latents),
        )
        query = linear(f"attention_{i}/query", queries)
        both = linear(f"attention_{i}/key_value", torch.cat([media, queries], dim=1))
        key, value = both.unflatten(-1, (2, 2, 6)).transpose(1, 2).unbind(3)
        attended = functional.scaled_dot_product_attention(heads(query), key, value)
        latents = latents + linear(f"attention_{i}/output", attended.transpose(1, 2).flatten(-2))
        hidden = functional.gelu(linear(f"expansion_{i}", norm(f"hidden_norm_{i}", latents)))
        latents = latents + linear(f"contraction_{i}", hidden)
    close(layer(X), norm("output_norm", latents).numpy())


def test_a_fully_padded_sample_has_the_latents_alone_and_finite_gradients(randomise, gradients):
    layer, _ = built(randomise)
    mask = np.array([NOTHING, RIGHT], bool)
    x = np.where(mask[..., None], X, np.float32(np.nan))
    outputs = ops.convert_to_numpy(layer(x, mask=mask))
    close(outputs[0], layer(random(2, 5, 8, seed=1), mask=mask)[0], relative=0)
    by_inputs, *by_weights = gradients(layer, x, mask=mask)
    assert all(np.isfinite(gradient).all() for gradient in (by_inputs, *by_weights))
    assert not by_inputs[~mask].any()
    assert by_inputs[mask].any(axis=-1).all()


def test_every_reading_has_weights_of_its_own():
    once, thrice = (PerceiverResampler(3, num_heads=2, depth=depth) for depth in (1, 3))
    for layer in (once, thrice):
        layer.build((None, None, 8))
    alone = sum(math.prod(w.shape) for w in once.weights if re.search(r"_0/", w.path))
    assert thrice.count_params() - once.count_params() == 2 * alone
    kernels = [ops.convert_to_numpy(layer.kernel) for layer in thrice.expansions]
    assert not np.allclose(kernels[0], kernels[1])


def test_the_steps_and_their_mask_are_gone_in_every_kind_of_model(randomise):
    layer, weights = built(randomise)
    mask = np.array([RIGHT, INSIDE], bool)
    expected = reference(X, weights, mask, **PLAIN)
    inputs = keras.Input((None, 8))
    read = layer(layers.Masking()(inputs))
    assert read.shape == (None, 3, 8)
    functional = keras.Model(inputs, read)
    close(functional.predict(X * mask[..., None], verbose=0), expected)
    mean = layers.GlobalAveragePooling1D()
    sequential = keras.Sequential([keras.Input((None, 8)), layers.Masking(), layer, mean])
    close(sequential.predict(X * mask[..., None], verbose=0), expected.mean(axis=1))
