"""Parity with flash-linear-attention, its plain form: all others run on a GPU alone."""

import numpy as np
import pytest
from arrays import INSIDE, LEFT, close, random
from parity.upstream import alone, run, torch

from layerzoo import LinearAttention

naive = alone("fla.ops.linear_attn.naive")


@pytest.mark.parametrize(
    ("form", "time", "mask"),
    [
        (naive.naive_recurrent_linear_attn, 5, None),
        (naive.naive_recurrent_linear_attn, 5, [LEFT, INSIDE]),
        (naive.naive_recurrent_linear_attn, 300, None),
        (naive.naive_chunk_linear_attn, 128, None),
    ],
)
@pytest.mark.parametrize(("heads", "width"), [(2, 4), (1, 3)])
def test_causal_linear_attention(randomise, form, time, mask, heads, width):
    layer = LinearAttention(heads, width, causal=True, epsilon=1e-10)  # theirs
    layer.build((None, None, 8))
    weights = {name: value.astype("float32") for name, value in randomise(layer).items()}
    x = random(2, time, 8)
    mask = np.ones((2, time), bool) if mask is None else np.array(mask, bool)

    together = x @ weights["query_key_value/kernel"] + weights["query_key_value/bias"]
    query, key, value = np.moveaxis(together.reshape(2, time, heads, 3, width), 3, 0)
    query, key = (run(torch.nn.functional.elu, each) + 1 for each in (query, key))
    key = key * mask[:, :, None, None]  # a key that weighs nothing is their padding
    attended = run(form, query, key, value, normalize=True).reshape(2, time, heads * width)
    expected = attended @ weights["output/kernel"] + weights["output/bias"]
    close(layer(x, mask=mask), mask[:, :, None] * np.nan_to_num(expected))
