"""Parity of whole attention layers with Hugging Face's transformers, weights copied by the card's lines."""

import numpy as np
import pytest
from arrays import INSIDE, RIGHT, close, random
from keras import layers
from parity.upstream import number, randomised, run, step_by_step, torch

from layerzoo import GatedMLP, Residual, RotaryEmbedding, SelfAttention, catalogue

transformers = pytest.importorskip(
    "transformers", reason="these layers are compared with those of transformers"
)
llama = pytest.importorskip("transformers.models.llama.modeling_llama")
qwen3 = pytest.importorskip("transformers.models.qwen3.modeling_qwen3")
qwen3_next = pytest.importorskip("transformers.models.qwen3_next.modeling_qwen3_next")

COPY = catalogue()["SelfAttention"].weights_from["transformers"]


def config_of_qwen3_next(**more):
    """A small Qwen3-Next, whose layers rotate a quarter of each head."""
    config = transformers.Qwen3NextConfig(
        hidden_size=32,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=16,
        intermediate_size=24,
        rope_parameters=dict(rope_type="default", rope_theta=1e6, partial_rotary_factor=0.25),
        layer_types=["full_attention"],
        num_hidden_layers=1,
        num_experts=0,
        **more,
    )
    config._attn_implementation = "eager"
    return config


def seen_and_angles(rotary, x, mask):
    """What transformers' layers take beside the inputs: what is added to the scores, and the angles."""
    time = x.shape[1]
    mask = np.ones(x.shape[:2], bool) if mask is None else np.array(mask, bool)
    seen = mask[:, None, None] & np.tri(time, dtype=bool)
    angles = rotary(torch.tensor(x), torch.arange(time)[None])
    masks = np.where(seen, 0, -1e9).astype("float32")
    return mask, dict(attention_mask=masks, position_embeddings=angles)


@pytest.mark.parametrize("mask", [None, [RIGHT, INSIDE]])
@pytest.mark.parametrize("use_bias", [False, True])
def test_gated_attention_of_qwen3_next(use_bias, mask):
    config = config_of_qwen3_next(attention_bias=use_bias)
    theirs = randomised(qwen3_next.Qwen3NextAttention(config, layer_idx=0))
    layer = SelfAttention(
        4,
        2,
        head_dim=16,
        causal=True,
        position=RotaryEmbedding(1e6, fraction=0.25),
        qk_norm=True,
        gate=True,
        use_bias=use_bias,
    )
    layer.build((None, None, 32))
    COPY(theirs, layer)
    x = random(2, 5, 32)
    rotary = qwen3_next.Qwen3NextRotaryEmbedding(config)
    mask, given = seen_and_angles(rotary, x, mask)
    expected = mask[..., None] * run(theirs, x, **given)
    close(layer(x, mask=mask), expected)


def test_a_block_of_qwen3_next():
    config = config_of_qwen3_next()
    theirs = randomised(qwen3_next.Qwen3NextDecoderLayer(config, layer_idx=0))
    norms = [layers.RMSNormalization(epsilon=1e-6) for _ in range(2)]
    attention = SelfAttention(
        4,
        2,
        head_dim=16,
        causal=True,
        position=RotaryEmbedding(1e6, fraction=0.25),
        qk_norm=True,
        gate=True,
        use_bias=False,
    )
    mlp = GatedMLP(24, use_bias=False)
    for layer in (*norms, attention, mlp):
        layer.build((None, None, 32))
    COPY(theirs.self_attn, attention)
    for norm, weight in zip(
        norms, (theirs.input_layernorm, theirs.post_attention_layernorm), strict=True
    ):
        norm.scale.assign(1 + number(weight.weight))
    for ours, name in ((mlp.gate, "gate"), (mlp.up, "up"), (mlp.down, "down")):
        ours.kernel.assign(number(getattr(theirs.mlp, f"{name}_proj").weight).T)

    x = random(2, 20, 32)
    _, given = seen_and_angles(qwen3_next.Qwen3NextRotaryEmbedding(config), x, None)
    block = [Residual([norms[0], attention]), Residual([norms[1], mlp])]
    expected = run(theirs, x, **given)
    close(block[1](block[0](x)), expected)
    close(step_by_step(block, x), expected)


@pytest.mark.parametrize("use_bias", [False, True])
@pytest.mark.parametrize("groups", [4, 1])
def test_the_lines_copy_llama_too(groups, use_bias):
    config = transformers.LlamaConfig(
        hidden_size=32,
        num_attention_heads=4,
        num_key_value_heads=groups,
        attention_bias=use_bias,
    )
    config._attn_implementation = "eager"
    theirs = randomised(llama.LlamaAttention(config, layer_idx=0))
    layer = SelfAttention(4, groups, causal=True, position=RotaryEmbedding(), use_bias=use_bias)
    layer.build((None, None, 32))
    COPY(theirs, layer)
    x = random(2, 12, 32)
    _, given = seen_and_angles(llama.LlamaRotaryEmbedding(config), x, None)
    expected = run(theirs, x, **given)
    close(layer(x), expected)
    close(step_by_step(layer, x), expected)


def test_the_lines_copy_qwen3_too():
    config = transformers.Qwen3Config(
        hidden_size=32, head_dim=6, num_attention_heads=4, num_key_value_heads=2
    )
    config._attn_implementation = "eager"
    theirs = randomised(qwen3.Qwen3Attention(config, layer_idx=0))
    layer = SelfAttention(
        4, 2, head_dim=6, causal=True, position=RotaryEmbedding(), qk_norm=True, use_bias=False
    )
    layer.build((None, None, 32))
    COPY(theirs, layer)
    x = random(2, 12, 32)
    _, given = seen_and_angles(qwen3.Qwen3RotaryEmbedding(config), x, None)
    expected = run(theirs, x, **given)
    close(layer(x), expected)
    close(step_by_step(layer, x), expected)
