"""Parity of constrained `HyperConnections` with those of DeepSeek-V4 in Hugging Face's transformers."""

from types import SimpleNamespace

import numpy as np
import pytest
from arrays import close, random
from keras import layers, ops
from parity.upstream import number, randomised, torch

from layerzoo import HyperConnections

deepseek = pytest.importorskip("transformers.models.deepseek_v4.modeling_deepseek_v4")


@pytest.mark.parametrize("leave", [False, True])
@pytest.mark.parametrize("enter", [False, True])
@pytest.mark.parametrize("num_streams", [2, 4])
def test_hyper_connections(num_streams, enter, leave):
    n, width = num_streams, 6
    theirs = randomised(
        deepseek.DeepseekV4HyperConnection(
            SimpleNamespace(  # theirs adds `hc_eps` to keep Sinkhorn from dividing by zero
                hc_mult=n, hc_sinkhorn_iters=20, hc_eps=0.0, rms_norm_eps=1e-6, hidden_size=width
            )
        )
    )
    layer = HyperConnections(layers.Dense(width, "tanh"), n, enter=enter, leave=leave)
    x = random(2, 5, width) if enter else random(2, 5, n, width)
    layer(x)
    layer.project.kernel.assign(number(theirs.fn).T)
    layer.scales.assign(number(theirs.scale))
    layer.offsets.assign(number(theirs.base))

    streams = torch.tensor(np.stack([x] * n, axis=-2) if enter else x)
    with torch.no_grad():  # as its decoder layer puts the parts together
        post, comb, inside = theirs(streams)
        branch = torch.tensor(ops.convert_to_numpy(layer.layer(inside.numpy())))
        due = post[..., None] * branch[..., None, :] + comb.transpose(-1, -2) @ streams
    close(layer(x), (due.mean(dim=-2) if leave else due).numpy())
