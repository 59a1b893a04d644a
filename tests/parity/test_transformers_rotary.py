"""Parity of scaled and partial rotary positions with Hugging Face's transformers."""

import numpy as np
import pytest
from arrays import by_group, close, random
from parity.upstream import copy, kernel, number, randomised, run, step_by_step, torch

from layerzoo import AxialRotaryEmbedding, RotaryEmbedding, SelfAttention

transformers = pytest.importorskip(
    "transformers", reason="these layers are compared with those of transformers"
)
llama = pytest.importorskip("transformers.models.llama.modeling_llama")
phi = pytest.importorskip("transformers.models.phi.modeling_phi")
qwen2_vl = pytest.importorskip("transformers.models.qwen2_vl.modeling_qwen2_vl")

LLAMA3 = dict(
    rope_type="llama3",
    factor=8.0,
    low_freq_factor=1.0,
    high_freq_factor=4.0,
    original_max_position_embeddings=64,
)
YARN = dict(rope_type="yarn", factor=4.0, original_max_position_embeddings=64)
SCALINGS = [
    LLAMA3,
    dict(LLAMA3, factor=32.0, high_freq_factor=9.5),
    YARN,
    dict(YARN, attention_factor=0.8, beta_fast=8.0, beta_slow=2.0),
    dict(YARN, truncate=False),
    dict(YARN, factor=40.0, mscale=1.0, mscale_all_dim=0.7),
    dict(YARN, original_max_position_embeddings=5),  # no pair turns once: the edges cross
]


def config_of(config, scaling, base=10_000.0, fraction=1.0, **sizes):
    """A small config with these rotary positions."""
    rope = dict(scaling, rope_theta=base, partial_rotary_factor=fraction)
    config = config(
        hidden_size=32,
        num_attention_heads=4,
        rope_parameters=rope,
        max_position_embeddings=256,
        **sizes,
    )
    config._attn_implementation = "eager"
    return config


@pytest.mark.parametrize("scaling", SCALINGS, ids=str)
@pytest.mark.parametrize(("base", "head_dim"), [(10_000.0, 8), (500_000.0, 64)])
def test_angles_of_every_scaling(base, head_dim, scaling):
    rotary = llama.LlamaRotaryEmbedding(
        config_of(transformers.LlamaConfig, scaling, base, head_dim=head_dim)
    )
    x = random(2, 100, 3, head_dim)
    cos, sin = rotary(torch.tensor(x), torch.arange(100)[None])
    theirs = run(lambda q: llama.apply_rotary_pos_emb(q, q, cos, sin, unsqueeze_dim=2), x)
    close(RotaryEmbedding(base, scaling=scaling)(x), theirs)


@pytest.mark.parametrize("groups", [4, 2])
@pytest.mark.parametrize("scaling", [LLAMA3, YARN], ids=["llama3", "yarn"])
def test_self_attention_of_llama(groups, scaling):
    config = config_of(transformers.LlamaConfig, scaling, num_key_value_heads=groups, head_dim=16)
    theirs = randomised(llama.LlamaAttention(config, layer_idx=0))
    position = RotaryEmbedding(scaling=scaling)
    layer = SelfAttention(4, groups, head_dim=16, causal=True, position=position, use_bias=False)
    layer.build((None, None, 32))
    kinds = map(kernel, (theirs.q_proj, theirs.k_proj, theirs.v_proj))
    layer.project_in.kernel.assign(by_group(groups, *kinds))
    copy(theirs.o_proj, layer.project_out)
    agrees(layer, theirs, llama.LlamaRotaryEmbedding(config))


def test_partial_rotation_of_phi():
    config = config_of(transformers.PhiConfig, dict(rope_type="default"), fraction=0.5)
    theirs = randomised(phi.PhiAttention(config, layer_idx=0))
    layer = SelfAttention(4, causal=True, position=RotaryEmbedding(fraction=0.5))
    layer.build((None, None, 32))
    kinds = (theirs.q_proj, theirs.k_proj, theirs.v_proj)
    layer.project_in.kernel.assign(by_group(4, *map(kernel, kinds)))
    layer.project_in.bias.assign(by_group(4, *(number(kind.bias) for kind in kinds)))
    copy(theirs.dense, layer.project_out)
    agrees(layer, theirs, phi.PhiRotaryEmbedding(config))


def agrees(layer, theirs, rotary):
    """Compares causal attention over thirty steps, at once and step by step."""
    x = random(2, 30, 32)
    expected = run(
        theirs,
        x,
        position_embeddings=rotary(torch.tensor(x), torch.arange(30)[None]),
        attention_mask=np.where(np.tri(30, dtype=bool), 0, -1e9).astype("float32")[None, None],
    )
    close(layer(x), expected)
    close(step_by_step(layer, x), expected)


@pytest.mark.parametrize("offset", [0, 40])
def test_sections_of_qwen2_vl(offset):
    rope = dict(rope_type="default", rope_theta=1e6, mrope_section=[2, 3, 3])
    config = transformers.Qwen2VLTextConfig(
        hidden_size=32, num_attention_heads=2, rope_parameters=rope
    )
    rotary = qwen2_vl.Qwen2VLRotaryEmbedding(config)
    positions = offset + np.random.default_rng(0).integers(0, 60, size=(2, 30, 3))
    x = random(2, 30, 2, 16)
    cos, sin = rotary(torch.tensor(x), torch.tensor(np.moveaxis(positions, -1, 0)))
    theirs = run(lambda q: qwen2_vl.apply_rotary_pos_emb(q, q, cos, sin, unsqueeze_dim=2), x)
    layer = AxialRotaryEmbedding((None, None, None), base=1e6, sections=(2, 3, 3))
    close(layer(x, positions=positions), theirs)


@pytest.mark.parametrize("groups", [4, 2])
def test_self_attention_of_qwen2_vl_over_a_video(groups):
    rope = dict(rope_type="default", rope_theta=10_000.0, mrope_section=[1, 1, 2])
    config = transformers.Qwen2VLTextConfig(
        hidden_size=32, num_attention_heads=4, num_key_value_heads=groups, rope_parameters=rope
    )
    config._attn_implementation = "eager"
    theirs = randomised(qwen2_vl.Qwen2VLAttention(config, layer_idx=0))
    position = AxialRotaryEmbedding((2, 3, 5), sections=(1, 1, 2))
    layer = SelfAttention(4, groups, causal=True, position=position)
    layer.build((None, None, 32))
    kinds = (theirs.q_proj, theirs.k_proj, theirs.v_proj)
    layer.project_in.kernel.assign(by_group(groups, *map(kernel, kinds)))
    layer.project_in.bias.assign(by_group(groups, *(number(kind.bias) for kind in kinds)))
    layer.project_out.kernel.assign(kernel(theirs.o_proj))
    layer.project_out.bias.assign(np.zeros(32))  # theirs has none
    places = torch.tensor(list(np.ndindex(2, 3, 5))).T[:, None].expand(3, 2, 30)
    agrees(layer, theirs, lambda x, _: qwen2_vl.Qwen2VLRotaryEmbedding(config)(x, places))


def test_rows_and_columns_of_the_vision_tower_of_qwen2_vl():
    config = qwen2_vl.Qwen2VLVisionConfig(embed_dim=32, num_heads=2)
    rotary = qwen2_vl.Qwen2VLVisionRotaryEmbedding(config)
    x = random(1, 35, 2, 16)
    places = torch.tensor(list(np.ndindex(5, 7)))
    cos, sin = rotary(torch.tensor(x), places)
    theirs = run(lambda q: qwen2_vl.apply_rotary_pos_emb_vision(q, q, cos, sin), x[0])
    close(AxialRotaryEmbedding((5, 7))(x), theirs[None])
