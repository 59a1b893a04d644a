"""Parity of `GatedDeltaNet` with transformers' Qwen3-Next, and of its rules with fla's plain forms."""

import numpy as np
import pytest
from arrays import close, random
from parity.upstream import alone, kernel, number, randomised, run

from layerzoo import GatedDeltaNet
from layerzoo.ops.matrix_recurrence import gated_delta_rule, units

delta = alone("fla.ops.gated_delta_rule.naive")
kimi = alone("fla.ops.kda.naive")


@pytest.mark.parametrize(("heads", "key_heads", "time"), [(4, 2, 5), (2, 2, 150)])
def test_gated_delta_net_of_qwen3_next(heads, key_heads, time):
    transformers = pytest.importorskip("transformers", reason="this layer is compared with its own")
    qwen3_next = pytest.importorskip("transformers.models.qwen3_next.modeling_qwen3_next")
    config = transformers.Qwen3NextConfig(
        hidden_size=12,
        linear_num_value_heads=heads,
        linear_num_key_heads=key_heads,
        linear_key_head_dim=4,
        linear_value_head_dim=4,
        linear_conv_kernel_dim=3,
        layer_types=["linear_attention"],
        num_hidden_layers=1,
    )
    theirs = randomised(qwen3_next.Qwen3NextGatedDeltaNet(config, layer_idx=0))
    layer = GatedDeltaNet(heads, 4, key_heads, kernel_size=3, use_bias=False)
    layer.build((None, None, 12))

    r = heads // key_heads
    beta, decay = np.split(kernel(theirs.in_proj_ba).reshape(12, key_heads, 2 * r), 2, axis=-1)
    taps = number(theirs.conv1d.weight)[:, 0].T  # all queries, all keys, all values
    kinds = np.split(taps, [4 * key_heads, 8 * key_heads], axis=-1)
    taps = np.concatenate([each.reshape(3, key_heads, -1) for each in kinds], axis=-1)
    layer.project_in.kernel.assign(kernel(theirs.in_proj_qkvz))
    layer.project_beta.kernel.assign(beta.reshape(12, heads))
    layer.project_decay[0].kernel.assign(decay.reshape(12, heads))
    layer.taps.assign(taps.reshape(3, -1))
    layer.log_rate.assign(number(theirs.A_log))
    layer.step_bias.assign(number(theirs.dt_bias))
    layer.scale.assign(number(theirs.norm.weight))
    layer.project_out.kernel.assign(kernel(theirs.out_proj))
    x = random(2, time, 12)
    close(layer(x), run(theirs, x))


@pytest.mark.parametrize("features", [1, 4])
@pytest.mark.parametrize("time", [5, 150])
def test_delta_rules_of_fla(features, time):
    query, value = random(2, time, 3, 4), random(2, time, 3, 5, seed=1)
    key = np.array(units(random(2, time, 3, 4, seed=2))[0])
    log_decay = -np.abs(random(2, time, 3, features, seed=3))
    beta = 1 / (1 + np.exp(-random(2, time, 3, seed=4)))
    if features == 1:
        log_decay = log_decay[..., 0]
        rule = delta.naive_recurrent_gated_delta_rule
    else:
        rule = kimi.naive_recurrent_kda
    expected = run(rule, query, key, value, g=log_decay, beta=beta, scale=1.0)
    close(gated_delta_rule(query, key, value, log_decay, beta)[0], expected)
