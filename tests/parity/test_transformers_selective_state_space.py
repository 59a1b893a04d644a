"""Parity of `SelectiveStateSpace` with transformers' Mamba-2, its plain form."""

import numpy as np
import pytest
from arrays import close, random
from parity.upstream import kernel, number, randomised, run

from layerzoo import SelectiveStateSpace


def by_group(array, groups, widths):
    """Columns ordered by kind, `widths` of each kind and group, in the order of groups."""
    kinds = np.split(array, np.cumsum([groups * width for width in widths])[:-1], axis=-1)
    kinds = [kind.reshape(*kind.shape[:-1], groups, -1) for kind in kinds]
    together = np.concatenate(kinds, axis=-1)
    return together.reshape(*array.shape)


@pytest.mark.parametrize(("heads", "groups", "time"), [(4, 2, 5), (2, 1, 150)])
@pytest.mark.parametrize("use_bias", [False, True])
def test_mixer_of_mamba2(heads, groups, time, use_bias):
    transformers = pytest.importorskip("transformers", reason="this layer is compared with its own")
    mamba2 = pytest.importorskip("transformers.models.mamba2.modeling_mamba2")
    config = transformers.Mamba2Config(
        hidden_size=8,
        num_heads=heads,
        head_dim=16 // heads,
        state_size=3,
        n_groups=groups,
        conv_kernel=3,
        use_bias=use_bias,
        num_hidden_layers=1,
        chunk_size=32,
    )
    theirs = randomised(mamba2.Mamba2Mixer(config, layer_idx=0))
    layer = SelectiveStateSpace(3, heads, num_groups=groups, kernel_size=3, use_bias=use_bias)
    layer.build((None, None, 8))

    p, r = 16 // groups, heads // groups
    layer.project_in.kernel.assign(by_group(kernel(theirs.in_proj), groups, (p, p, 3, 3, r)))
    layer.taps.assign(by_group(number(theirs.conv1d.weight)[:, 0].T, groups, (p, 3, 3)))
    layer.taps_bias.assign(by_group(number(theirs.conv1d.bias), groups, (p, 3, 3)))
    layer.log_rate.assign(number(theirs.A_log))
    layer.step_bias.assign(number(theirs.dt_bias))
    layer.skip.assign(number(theirs.D))
    layer.scale.assign(number(theirs.norm.weight))
    layer.project_out.kernel.assign(kernel(theirs.out_proj))
    if use_bias:
        layer.project_in.bias.assign(by_group(number(theirs.in_proj.bias), groups, (p, p, 3, 3, r)))
        layer.project_out.bias.assign(number(theirs.out_proj.bias))
    x = random(2, time, 8)
    close(layer(x), run(theirs, x))
