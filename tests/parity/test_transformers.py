"""Parity with Hugging Face's transformers.

The latent attention that the catalogue names, fla's, runs on a GPU alone: DeepSeek's is compared here.
"""

import numpy as np
import pytest
from arrays import INSIDE, RIGHT, by_group, close, random
from parity.upstream import copy, kernel, number, randomised, run, torch

from layerzoo import (
    MultiHeadLatentAttention,
    RelativePositionBias,
    RotaryEmbedding,
    SelfAttention,
)

transformers = pytest.importorskip(
    "transformers", reason="these layers are compared with those of transformers"
)
t5 = pytest.importorskip("transformers.models.t5.modeling_t5")
qwen3 = pytest.importorskip("transformers.models.qwen3.modeling_qwen3")
deepseek = pytest.importorskip("transformers.models.deepseek_v3.modeling_deepseek_v3")

MASKS = [None, [RIGHT, INSIDE]]


def allowed(mask, causal):
    """Which steps see which, `(batch, 1, time, time)`, and which are compared."""
    mask = np.ones((2, 5), bool) if mask is None else np.array(mask, bool)
    return mask[:, None, None] & (np.tri(5, dtype=bool) | (not causal)), mask[:, :, None]


def turned(rotary, x):
    """Cosines and sines of a module's angles."""
    return rotary(torch.tensor(x), torch.arange(5)[None])


def t5_attention(bidirectional, buckets=32, distance=128):
    config = transformers.T5Config(
        d_model=16,
        d_kv=6,
        num_heads=4,
        relative_attention_num_buckets=buckets,
        relative_attention_max_distance=distance,
        is_decoder=not bidirectional,
    )
    config._attn_implementation = "eager"
    return randomised(t5.T5Attention(config, has_relative_attention_bias=True, layer_idx=0))


@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize(("buckets", "distance"), [(32, 128), (16, 20), (8, 50)])
@pytest.mark.parametrize(("queries", "keys", "offset"), [(160, 160, 0), (1, 300, 299)])
def test_relative_position_bias(buckets, distance, bidirectional, queries, keys, offset):
    theirs = t5_attention(bidirectional, buckets, distance)
    layer = RelativePositionBias(buckets, distance, bidirectional)
    layer.build((None, 4, None, None))
    layer.embeddings.assign(number(theirs.relative_attention_bias.weight))
    scores = random(1, 4, queries, keys)
    bias = run(theirs.compute_bias, queries, keys, past_seen_tokens=offset)
    close(layer(scores, offset=offset), scores + bias)


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("bidirectional", [True, False])
def test_relative_position_bias_in_attention(bidirectional, mask):
    theirs = t5_attention(bidirectional)
    position = RelativePositionBias(bidirectional=bidirectional)
    layer = SelfAttention(
        4, head_dim=6, causal=not bidirectional, position=position, use_bias=False
    )
    layer.build((None, None, 16))
    query, key, value = map(kernel, (theirs.q, theirs.k, theirs.v))
    query = query * np.sqrt(6)  # they do not divide the scores by this
    layer.project_in.kernel.assign(by_group(4, query, key, value))
    copy(theirs.o, layer.project_out)
    position.embeddings.assign(number(theirs.relative_attention_bias.weight))

    x = random(2, 5, 16)
    seen, steps = allowed(mask, causal=not bidirectional)
    expected = run(theirs, x, mask=np.where(seen, 0, -1e9).astype("float32"))
    close(layer(x, mask=steps[..., 0]), steps * expected)


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("groups", [4, 2, 1])
def test_self_attention_with_groups_norms_and_rotation(groups, mask):
    config = transformers.Qwen3Config(
        hidden_size=16, head_dim=6, num_attention_heads=4, num_key_value_heads=groups
    )
    config._attn_implementation = "eager"
    theirs = randomised(qwen3.Qwen3Attention(config, layer_idx=0))
    layer = SelfAttention(
        4, groups, head_dim=6, causal=True, position=RotaryEmbedding(), qk_norm=True, use_bias=False
    )
    layer.build((None, None, 16))
    kinds = map(kernel, (theirs.q_proj, theirs.k_proj, theirs.v_proj))
    layer.project_in.kernel.assign(by_group(groups, *kinds))
    copy(theirs.o_proj, layer.project_out)
    layer.query_norm.scale.assign(number(theirs.q_norm.weight))
    layer.key_norm.scale.assign(number(theirs.k_norm.weight))

    x = random(2, 5, 16)
    seen, steps = allowed(mask, causal=True)
    expected = run(
        theirs,
        x,
        position_embeddings=turned(qwen3.Qwen3RotaryEmbedding(config), x),
        attention_mask=np.where(seen, 0, -1e9).astype("float32"),
    )
    close(layer(x, mask=steps[..., 0]), steps * expected)


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize(("heads", "query_latent"), [(4, None), (2, 10)])
def test_multi_head_latent_attention(heads, query_latent, causal, mask):
    config = transformers.DeepseekV3Config(
        hidden_size=16,
        num_attention_heads=heads,
        num_key_value_heads=heads,
        q_lora_rank=query_latent,
        kv_lora_rank=12,
        qk_rope_head_dim=4,
        qk_nope_head_dim=6,
        v_head_dim=6,
        rope_interleave=False,  # their checkpoints' pairs are not fla's, nor ours
    )
    config._attn_implementation = "eager"
    theirs = randomised(deepseek.DeepseekV3Attention(config, layer_idx=0))
    layer = MultiHeadLatentAttention(
        heads, 12, query_latent, head_dim=6, rope_dim=4, causal=causal, use_bias=False
    )
    layer.build((None, None, 16))
    copy(theirs.kv_a_proj_with_mqa, layer.project_latent)
    layer.latent_norm.scale.assign(number(theirs.kv_a_layernorm.weight))
    copy(theirs.kv_b_proj, layer.project_key_value)
    if query_latent:
        copy(theirs.q_a_proj, layer.project_query_latent)
        layer.query_latent_norm.scale.assign(number(theirs.q_a_layernorm.weight))
    copy(theirs.q_b_proj if query_latent else theirs.q_proj, layer.project_query)
    copy(theirs.o_proj, layer.project_out)

    x = random(2, 5, 16)
    seen, steps = allowed(mask, causal)
    expected = run(
        theirs,
        x,
        position_embeddings=turned(deepseek.DeepseekV3RotaryEmbedding(config), x),
        attention_mask=np.where(seen, 0, -1e9).astype("float32"),
    )
    close(layer(x, mask=steps[..., 0]), steps * expected)
