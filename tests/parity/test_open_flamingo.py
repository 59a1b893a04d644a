"""Parity with OpenFlamingo."""

import pytest
from arrays import close, random
from parity.upstream import alone, copy, copy_fused, number, randomised, run

from layerzoo import PerceiverResampler

pytest.importorskip("einops_exts", reason="OpenFlamingo needs it")
helpers = alone("open_flamingo.src.helpers")


@pytest.mark.parametrize(("depth", "latents", "heads", "head_dim"), [(1, 4, 2, 6), (3, 8, 4, 16)])
def test_perceiver_resampler(depth, latents, heads, head_dim):
    theirs = randomised(
        helpers.PerceiverResampler(
            dim=16, depth=depth, dim_head=head_dim, heads=heads, num_latents=latents
        )
    )
    layer = PerceiverResampler(latents, heads, depth, head_dim, use_bias=False)
    layer.build((None, None, 16))
    layer.latents.assign(number(theirs.latents))
    for i, (attention, feed_forward) in enumerate(theirs.layers):
        copy_norm(attention.norm_media, layer.input_norms[i])
        copy_norm(attention.norm_latents, layer.latent_norms[i])
        copy(attention.to_q, layer.attentions[i].project_query)
        copy_fused(attention.to_kv, layer.attentions[i].project_context, heads, 2)
        copy(attention.to_out, layer.attentions[i].project_out)
        norm, expansion, _, contraction = feed_forward
        copy_norm(norm, layer.hidden_norms[i])
        copy(expansion, layer.expansions[i])
        copy(contraction, layer.contractions[i])
    copy_norm(theirs.norm, layer.output_norm)

    x = random(2, 1, 2, 9, 16)  # one image in two frames of nine patches
    close(layer(x.reshape(2, 18, 16)), run(theirs, x)[:, 0])


def copy_norm(module, norm):
    norm.set_weights([number(module.weight), number(module.bias)])
