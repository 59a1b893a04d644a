"""Parity with timm, the PyTorch Image Models."""

import keras
import numpy as np
import pytest
from arrays import INSIDE, RIGHT, close, random
from keras import layers, ops
from parity.upstream import copy, copy_fused, number, randomised, run, torch

from layerzoo import (
    AttentionPooling,
    ConvolutionalBlockAttention,
    DifferentialAttention,
    DropPath,
    EfficientChannelAttention,
    GatedMLP,
    SqueezeExcite,
    WindowAttention,
)

timm = pytest.importorskip("timm", reason="these layers are compared with timm's")
cbam = pytest.importorskip("timm.layers.cbam")
swin = pytest.importorskip("timm.models.swin_transformer")
nn = torch.nn


@pytest.mark.parametrize("qkv_bias", [True, False])
@pytest.mark.parametrize(
    ("height", "width", "window_size", "shift"), [(8, 8, 4, 0), (8, 12, 4, 2), (9, 6, 3, 1)]
)
def test_window_attention(height, width, window_size, shift, qkv_bias):
    theirs = swin.SwinTransformerBlock(
        16, (height, width), 4, window_size=window_size, shift_size=shift, qkv_bias=qkv_bias
    )
    randomised(theirs)
    nn.init.zeros_(theirs.mlp.fc2.weight)  # of the block, the MLP is not ours
    nn.init.zeros_(theirs.mlp.fc2.bias)
    norm = layers.LayerNormalization(epsilon=1e-5)
    norm.build((None, None, None, 16))
    norm.set_weights([number(theirs.norm1.weight), number(theirs.norm1.bias)])
    layer = WindowAttention(4, window_size, shift, use_bias=qkv_bias)
    layer.build((None, None, None, 16))
    copy_fused(theirs.attn.qkv, layer.project_in, 4, 3)
    copy(theirs.attn.proj, layer.project_out)
    layer.table.assign(number(theirs.attn.relative_position_bias_table))

    x = random(2, height, width, 16)
    close(x + ops.convert_to_numpy(layer(norm(x))), run(theirs, x))


@pytest.mark.parametrize("mask", [None, [RIGHT, INSIDE]])
@pytest.mark.parametrize(("heads", "queries"), [(4, 1), (8, 1), (4, 3)])
def test_attention_pooling(heads, queries, mask):
    theirs = randomised(
        timm.layers.AttentionPoolLatent(32, num_heads=heads, latent_len=queries, pool_type="")
    )
    nn.init.zeros_(theirs.mlp.fc2.weight)  # what follows the attention is not ours
    nn.init.zeros_(theirs.mlp.fc2.bias)
    layer = AttentionPooling(heads, queries)
    layer.build((None, None, 32))
    layer.queries.assign(number(theirs.latent)[0])
    copy(theirs.q, layer.attention.project_query)
    copy_fused(theirs.kv, layer.attention.project_context, heads, 2)
    copy(theirs.proj, layer.attention.project_out)

    x, mask = random(2, 5, 32), None if mask is None else np.array(mask, bool)
    expected = run(theirs, x, attn_mask=None if mask is None else mask[:, None, None])
    close(layer(x, mask=mask), expected[:, 0] if queries == 1 else expected)


@pytest.mark.parametrize("mask", [None, [RIGHT, INSIDE]])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(("heads", "depth", "use_bias"), [(2, 1, False), (4, 3, True)])
def test_differential_attention(heads, depth, use_bias, causal, mask):
    theirs = randomised(
        timm.layers.DiffAttention(
            16, heads, qkv_bias=use_bias, proj_bias=use_bias, depth=depth - 1
        )  # theirs count from 0
    )
    layer = DifferentialAttention(heads, depth, causal=causal, use_bias=use_bias)
    layer.build((None, None, 16))
    copy_fused(theirs.qkv, layer.project_in, heads, 3)
    copy(theirs.proj, layer.project_out)
    layer.head_norm.scale.assign(number(theirs.sub_norm.weight))
    lambdas = (theirs.lambda_q1, theirs.lambda_k1, theirs.lambda_q2, theirs.lambda_k2)
    layer.lambdas.assign(np.stack([number(each) for each in lambdas]))

    x = random(2, 5, 16)
    if mask is None:
        close(layer(x), run(theirs, x, is_causal=causal))
        return
    mask = np.array(mask, bool)
    seen = mask[:, None, None] & (np.tri(5, dtype=bool) | (not causal))
    steps = mask[:, :, None]  # at padding, ours are zero
    close(layer(x, mask=mask), steps * run(theirs, x, attn_mask=seen))


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize(
    ("channels", "ratio", "gate"), [(64, 4, "sigmoid"), (48, 16, "hard_sigmoid")]
)
def test_squeeze_excite(channels, ratio, gate, data_format):
    theirs = randomised(
        timm.layers.SEModule(channels, rd_channels=channels // ratio, gate_layer=gate)
    )
    layer = SqueezeExcite(ratio, gate_activation=gate, data_format=data_format)
    agrees(theirs, layer, channels, data_format, reduce=theirs.fc1, expand=theirs.fc2)


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("channels", [8, 64, 128, 256])
def test_efficient_channel_attention(channels, data_format):
    theirs = randomised(timm.layers.EcaModule(channels))
    layer = EfficientChannelAttention(data_format=data_format)
    agrees(theirs, layer, channels, data_format, convolution=theirs.conv)


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize(("channels", "ratio", "size"), [(64, 16, 7), (24, 4, 3)])
def test_convolutional_block_attention(channels, ratio, size, data_format):
    theirs = randomised(
        cbam.CbamModule(channels, rd_ratio=1 / ratio, spatial_kernel_size=size, mlp_bias=True)
    )
    # their convolution has no bias, and a norm over the batch, which folds into kernel and bias
    convolution, norm = theirs.spatial.conv.conv, theirs.spatial.conv.bn
    norm.running_mean.fill_(0.3)
    norm.running_var.fill_(2.0)
    folded = nn.utils.fuse_conv_bn_eval(convolution, norm)
    mlp = theirs.channel
    layer = ConvolutionalBlockAttention(ratio, size, data_format=data_format)
    maps = dict(reduce=mlp.fc1, expand=mlp.fc2, convolution=folded)
    agrees(theirs, layer, channels, data_format, **maps)


def agrees(theirs, layer, channels, data_format, **maps):
    """Copies the weights of some maps, and compares the outputs for images."""
    x = random(2, channels, 9, 7)
    moved = x if data_format == "channels_first" else np.moveaxis(x, 1, -1)
    layer.build(moved.shape)
    for name, module in maps.items():
        copy(module, getattr(layer, name))
    expected = run(theirs, x)
    y = layer(moved)
    close(y if data_format == "channels_first" else ops.moveaxis(y, -1, 1), expected)


@pytest.mark.parametrize(
    ("activation", "act_layer"), [("silu", nn.SiLU), ("gelu", nn.GELU), ("relu", nn.ReLU)]
)
@pytest.mark.parametrize(("units", "use_bias"), [(None, True), (5, False)])
def test_gated_mlp(units, use_bias, activation, act_layer):
    theirs = randomised(timm.layers.SwiGLU(8, 24, units, act_layer=act_layer, bias=use_bias))
    layer = GatedMLP(24, units, activation, use_bias=use_bias)
    layer.build((None, None, 8))
    copy(theirs.fc1_g, layer.gate)
    copy(theirs.fc1_x, layer.up)
    copy(theirs.fc2, layer.down)
    x = random(2, 5, 8)
    close(layer(x), run(theirs, x))


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("rate", [0.0, 0.25, 0.5, 1.0])
@pytest.mark.parametrize("shape", [(40,), (40, 3), (40, 2, 3, 4)])
def test_drop_path(rate, training, shape, monkeypatch):
    x = random(*shape)
    torch.manual_seed(0)
    expected = run(timm.layers.DropPath(rate).train(training), x)
    dropped = (expected == 0).reshape(40, -1).all(axis=1)  # ours shall draw the same samples
    draws = ops.convert_to_tensor(np.where(dropped, 1 - rate, 0).astype("float32"))
    monkeypatch.setattr(keras.random, "uniform", lambda size, seed: ops.reshape(draws, size))
    if training and 0 < rate < 1:
        assert 0 < dropped.sum() < 40
    np.testing.assert_allclose(
        ops.convert_to_numpy(DropPath(rate)(x, training=training)), expected, rtol=1e-6
    )
