"""Parity of `MixtureOfExperts` with the mixtures of Hugging Face's transformers."""

from types import SimpleNamespace

import numpy as np
import pytest
from arrays import RIGHT, close, random
from parity.upstream import number, randomised, run, torch

from layerzoo import MixtureOfExperts

mixtral = pytest.importorskip("transformers.models.mixtral.modeling_mixtral")
deepseek = pytest.importorskip("transformers.models.deepseek_v3.modeling_deepseek_v3")
glm = pytest.importorskip("transformers.models.glm4_moe.modeling_glm4_moe")

EXPERTS, WIDTH, HIDDEN = 6, 8, 10


def copied(theirs, layer, scale=1.0):
    """The layer with the weights of their mixture. Theirs are kept transposed."""
    layer.build((None, None, WIDTH))
    layer.route.assign(number(theirs.gate.weight).T)
    layer.gate_up.assign(number(theirs.experts.gate_up_proj).transpose(0, 2, 1))
    layer.down.assign(scale * number(theirs.experts.down_proj).transpose(0, 2, 1))
    if hasattr(theirs, "shared_experts"):
        for name in ("gate", "up", "down"):
            kernel = getattr(theirs.shared_experts, f"{name}_proj").weight
            getattr(layer.shared, name).kernel.assign(number(kernel).T)
        layer.balance.assign(number(theirs.gate.e_score_correction_bias))
    return layer


@pytest.mark.parametrize("top_k", [2, 6])
def test_mixtral(top_k):
    theirs = randomised(
        mixtral.MixtralSparseMoeBlock(
            SimpleNamespace(
                num_experts_per_tok=top_k,
                num_local_experts=EXPERTS,
                hidden_size=WIDTH,
                intermediate_size=HIDDEN,
                hidden_act="silu",
                router_jitter_noise=0.0,
                _experts_implementation="eager",
            )
        )
    )
    layer = MixtureOfExperts(EXPERTS, HIDDEN, top_k, aux_loss_weight=1.0, use_bias=False)
    copied(theirs, layer)
    x = random(2, 5, WIDTH)
    close(layer(x), run(theirs, x))

    logits, weights, experts = theirs.gate(torch.tensor(x))
    _, our_experts, our_weights = layer(x, return_routing=True)
    close(our_experts, number(experts).reshape(2, 5, top_k), 0)
    close(our_weights, number(weights).reshape(2, 5, top_k))
    for mask in (None, np.array([RIGHT, [1] * 5], bool)):
        layer(x, mask=mask)
        theirs_mask = None if mask is None else torch.tensor(mask)
        due = mixtral.load_balancing_loss_func((logits,), EXPERTS, top_k, theirs_mask)
        close(layer.losses[0], number(due))


@pytest.mark.parametrize("scale", [1.0, 2.5])
@pytest.mark.parametrize("shared", [1, 2])
@pytest.mark.parametrize(
    "mixture", [deepseek.DeepseekV3MoE, glm.Glm4MoeMoE], ids=["deepseek_v3", "glm4_moe"]
)
def test_sigmoid_routing_with_a_bias_and_shared_experts(mixture, shared, scale):
    theirs = randomised(
        mixture(
            SimpleNamespace(
                num_experts_per_tok=2,
                num_local_experts=EXPERTS,
                n_routed_experts=EXPERTS,
                n_shared_experts=shared,
                hidden_size=WIDTH,
                intermediate_size=HIDDEN,
                moe_intermediate_size=HIDDEN,
                hidden_act="silu",
                n_group=1,
                topk_group=1,
                norm_topk_prob=True,
                routed_scaling_factor=scale,
                _experts_implementation="eager",
            )
        )
    )
    bias = np.random.default_rng(1).normal(size=EXPERTS).astype("float32")
    theirs.gate.e_score_correction_bias.copy_(torch.tensor(bias))
    layer = MixtureOfExperts(EXPERTS, HIDDEN, 2, shared, "sigmoid", use_bias=False)
    copied(theirs, layer, scale)
    x = random(2, 5, WIDTH)
    close(layer(x), run(theirs, x))
