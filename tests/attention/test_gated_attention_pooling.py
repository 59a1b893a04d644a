import keras
import numpy as np
import pytest
from arrays import INSIDE, LEFT, RIGHT, close, random
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers, ops

from layerzoo import GatedAttentionPooling


def reference(x, weights, mask, use_bias=True):
    """Equations 7 to 9 of the paper in float64, one bag at a time, padding left out."""

    def linear(name, instance):
        return instance @ weights[f"{name}/kernel"] + (weights[f"{name}/bias"] if use_bias else 0)

    outputs, scores = np.zeros((len(x), x.shape[-1])), np.zeros(mask.shape)
    for b in range(len(x)):
        bag = [t for t in range(x.shape[1]) if mask[b, t]]
        weight = {}
        for t in bag:
            hidden = np.tanh(linear("hidden", x[b, t]))
            hidden = hidden / (1 + np.exp(-linear("gate", x[b, t])))
            weight[t] = np.exp(float((hidden @ weights["score/kernel"])[0]))
        for t in bag:
            scores[b, t] = weight[t] / sum(weight.values())
            outputs[b] += scores[b, t] * x[b, t]
    return outputs, scores


def built(randomise, width=6, **config):
    layer = GatedAttentionPooling(**{"units": 4, **config})
    layer.build((None, None, width))
    return layer, randomise(layer)


@settings(max_examples=25, deadline=None, derandomize=True, database=None)
@given(
    units=st.sampled_from([1, 7]),
    use_bias=st.booleans(),
    mask=st.sampled_from([None, [LEFT, RIGHT], [INSIDE, [0] * 5]]),
    seed=st.integers(0, 99),
)
def test_equals_the_reference(randomise, units, mask, seed, **config):
    layer, _ = built(randomise, units=units, **config)
    weights = randomise(layer, seed)
    x = random(2, 5, 6, seed=seed)
    mask = None if mask is None else np.array(mask, bool)
    valid = np.ones((2, 5), bool) if mask is None else mask
    expected, expected_scores = reference(x, weights, valid, **config)
    outputs, scores = layer(x, mask=mask, return_attention_scores=True)
    close(outputs, expected)
    close(scores, expected_scores)
    close(layer(x, mask=mask), outputs, relative=0)


def test_equals_the_paper_s_code_in_torch(randomise):
    torch = pytest.importorskip("torch", reason="the other side of the comparison is PyTorch")
    layer, weights = built(randomise)

    def linear(name):
        kernel = torch.tensor(weights[f"{name}/kernel"], dtype=torch.float32)
        module = torch.nn.Linear(*kernel.shape)
        module.weight.data = kernel.T
        if f"{name}/bias" in weights:  # without one, theirs must not matter
            module.bias.data = torch.tensor(weights[f"{name}/bias"], dtype=torch.float32)
        return module

    hidden, gate, score = linear("hidden"), linear("gate"), linear("score")
    x = random(3, 5, 6)
    for bag, pooled in zip(torch.from_numpy(x), ops.convert_to_numpy(layer(x)), strict=True):
        scores = score(torch.tanh(hidden(bag)) * torch.sigmoid(gate(bag)))
        expected = torch.mm(torch.softmax(scores.T, dim=1), bag)[0]
        close(pooled, expected.detach().numpy())


def test_equal_instances_get_equal_scores_and_one_instance_gets_all(randomise):
    layer, _ = built(randomise)
    x = np.repeat(random(2, 1, 6), 4, axis=1)
    outputs, scores = layer(x, return_attention_scores=True)
    close(scores, np.full((2, 4), 0.25))
    close(outputs, x[:, 0])
    outputs, scores = layer(x[:, :1], return_attention_scores=True)
    close(scores, np.ones((2, 1)))
    close(outputs, x[:, 0])


def test_batch_and_instances_may_be_unknown_in_every_kind_of_model(randomise):
    layer, weights = built(randomise)
    inputs = keras.Input((None, 6))
    outputs, scores = layer(inputs, return_attention_scores=True)
    assert (outputs.shape, scores.shape) == ((None, 6), (None, None))
    functional = keras.Model(inputs, [outputs, scores])
    sequential = keras.Sequential([keras.Input((None, 6)), layers.Masking(), layer])
    for batch, instances in [(2, 5), (1, 3), (3, 1)]:
        x = random(batch, instances, 6)
        everywhere = np.ones((batch, instances), bool)
        for y, expected in zip(
            functional.predict(x, verbose=0), reference(x, weights, everywhere), strict=True
        ):
            close(y, expected)
        mask = everywhere & (np.arange(instances) < max(1, instances - 1))
        expected, _ = reference(x, weights, mask)
        close(sequential.predict(x * mask[..., None], verbose=0), expected)


@pytest.mark.parametrize(
    ("policy", "unit"), [("mixed_float16", 2.0**-11), ("mixed_bfloat16", 2.0**-8)]
)
def test_half_precision_stays_near_float32_in_large_bags(randomise, policy, unit):
    precise, _ = built(randomise)
    half, _ = built(randomise, dtype=policy)
    x = random(2, 40_000, 6) + 1  # scores near 1 / 40000, of which float16 keeps 8 bits
    y = half(x)
    assert keras.backend.standardize_dtype(y.dtype) == half.compute_dtype
    close(ops.cast(y, "float32"), precise(x), relative=2 * unit)


def test_a_file_of_the_gated_form_loads_and_one_of_the_ungated_form_is_refused():
    config = GatedAttentionPooling(4).get_config()
    assert GatedAttentionPooling.from_config({**config, "gated": True}).get_config() == config
    with pytest.raises(ValueError, match=r"always gated. Received: gated=False"):
        GatedAttentionPooling.from_config({**config, "gated": False})
