"""Parity of `GatedLinearAttention` with flash-linear-attention, its plain form step by step."""

import numpy as np
import pytest
from arrays import close, random
from parity.upstream import alone, run, torch

from layerzoo import GatedLinearAttention

naive = alone("fla.ops.gla.naive")


@pytest.mark.parametrize(("heads", "time", "use_bias"), [(2, 5, True), (1, 150, False)])
def test_gated_linear_attention(randomise, heads, time, use_bias):
    layer = GatedLinearAttention(heads, use_bias=use_bias)
    layer.build((None, None, 8))
    weights = {name: value.astype("float32") for name, value in randomise(layer).items()}
    x, h, m = random(2, time, 8), 8 // heads, 4 // heads

    def linear(x, name):
        return x @ weights[f"{name}/kernel"] + weights.get(f"{name}/bias", 0)

    together = linear(x, "query_key_value_gate").reshape(2, time, heads, -1)
    query, key, value, gate = np.split(together, [m, 2 * m, 2 * m + h], axis=-1)
    decay = linear(linear(x, "decay_down"), "decay_up").reshape(2, time, heads, m)
    log_decay = run(torch.nn.functional.logsigmoid, decay) / 16
    read = run(naive.naive_recurrent_gla, query, key, value, log_decay)
    read = run(torch.nn.functional.rms_norm, read, normalized_shape=(h,), eps=1e-5)
    read = read * weights["scale"] * run(torch.nn.functional.silu, gate)
    close(layer(x), linear(read.reshape(2, time, 8), "output"))
