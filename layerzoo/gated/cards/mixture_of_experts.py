"""The card of `MixtureOfExperts`: what it claims, and the peer it is measured against."""

import keras
from keras import layers, ops

from layerzoo.card import Card, Peer, Traits
from layerzoo.gated.mixture_of_experts import MixtureOfExperts

EXPERTS, TOP_K = 8, 2


@keras.saving.register_keras_serializable(package="layerzoo.peers")
class EveryExpert(layers.Layer):
    """The same sum, for which every token goes through every expert."""

    def __init__(self, hidden_dim, **kwargs):
        super().__init__(**kwargs)
        self.hidden_dim = hidden_dim

    def build(self, input_shape):
        """Stack the kernels of all experts."""
        e, d, h = EXPERTS, input_shape[-1], self.hidden_dim
        self.router = self.add_weight((d, e), "glorot_uniform", name="router")
        self.gate_up = self.add_weight((e, d, 2 * h), "glorot_uniform", name="gate_up")
        self.gate_up_bias = self.add_weight((e, 1, 2 * h), "zeros", name="gate_up_bias")
        self.down = self.add_weight((e, h, d), "glorot_uniform", name="down")
        self.down_bias = self.add_weight((e, 1, d), "zeros", name="down_bias")

    def call(self, inputs):
        """Weigh the outputs of all experts; those that were not chosen have no weight."""
        x = ops.reshape(inputs, (-1, inputs.shape[-1]))
        scores = ops.softmax(ops.matmul(x, self.router))
        best, _ = ops.top_k(scores, TOP_K)
        weights = ops.where(scores >= best[:, -1:], scores, 0.0) / ops.sum(best, -1, keepdims=True)
        both = ops.matmul(ops.expand_dims(x, 0), self.gate_up) + self.gate_up_bias
        gate, up = ops.split(both, 2, axis=-1)
        y = ops.matmul(ops.silu(gate) * up, self.down) + self.down_bias  # (e, n, d)
        y = ops.sum(y * ops.expand_dims(ops.transpose(weights), -1), axis=0)
        return ops.reshape(y, ops.shape(inputs))


PEER = Peer(
    instead="all 8 experts for every token, of which 2 have a weight",
    work=[
        dict(b=8, t=128, d=256),
        dict(b=8, t=512, d=256),
        dict(b=8, t=512, d=256, jit=True),
    ],
    layer=lambda sizes: MixtureOfExperts(EXPERTS, 4 * sizes["d"], TOP_K),
    peer=lambda sizes: EveryExpert(4 * sizes["d"]),
    operations=lambda b, t, d, **_: 3 * 2 * b * t * TOP_K * 3 * 4 * d * d,
)


def balanced(config):
    """How many losses a call adds."""
    weight = config["aux_loss_weight"]
    return int(config["router"] == "softmax" if weight is None else weight > 0)


def unlimited(config):
    """Whether an expert takes every token that chose it."""
    return config["capacity_factor"] is None


CARD = Card(
    layer=MixtureOfExperts,
    inputs="b t d",
    configs=lambda pick: dict(
        num_experts=pick([4, 5]),
        hidden_dim=pick([6, 5]),
        top_k=pick([2, 3, 1]),
        num_shared_experts=pick([0, 1, 2]),
        router=pick(["softmax", "sigmoid"]),
        capacity_factor=pick([None, 0.5, 1.25]),
        aux_loss_weight=pick([None, 0.0, 0.5]),
        bias_update_rate=pick([0.001, 0.1]),
        activation=pick(["silu", "gelu", None]),
        use_bias=pick([True, False]),
        kernel_initializer=pick(["glorot_uniform", "he_normal"]),
    ),
    traits=Traits(
        masking="propagates",
        strict_masks=True,
        dynamic="b t",
        causal=unlimited,
        reach=lambda config: (0, 0) if unlimited(config) else None,
        couples_batch=lambda config: None if unlimited(config) else "always",
        state=lambda config: "training" if config["router"] == "sigmoid" else None,
        losses=balanced,
    ),
    errors=[
        dict(num_experts=0, hidden_dim=4),
        dict(num_experts=4, hidden_dim=-1),
        dict(num_experts=4, hidden_dim=4, top_k=5),
        dict(num_experts=4, hidden_dim=4, num_shared_experts=-1),
        dict(num_experts=4, hidden_dim=4, router="hash"),
        dict(num_experts=4, hidden_dim=4, capacity_factor=0),
        dict(num_experts=4, hidden_dim=4, aux_loss_weight=-0.1),
    ],
    expected_failures={
        "G9": "the balance loss compares how many tokens of the whole batch each expert gets",
    },
    paper="arXiv:1701.06538",
    year=2017,
    paper_title="Outrageously Large Neural Networks: The Sparsely-Gated Mixture-of-Experts Layer",
    paper_authors=(
        "Noam Shazeer and Azalia Mirhoseini and Krzysztof Maziarz and Andy Davis and Quoc Le and "
        "Geoffrey Hinton and Jeff Dean"
    ),
    tags=["transformer", "sparse"],
    aliases=[
        "MoE",
        "sparse MoE",
        "top-k routing",
        "Switch Transformer",
        "DeepSeekMoE",
        "transformers.models.mixtral.modeling_mixtral.MixtralSparseMoeBlock",
        "transformers.models.deepseek_v3.modeling_deepseek_v3.DeepseekV3MoE",
        "transformers.models.glm4_moe.modeling_glm4_moe.Glm4MoeMoE",
    ],
    peer=PEER,
    boxes={
        "flat_tokens": "tokens",
        "router_scores": "router",
        "chosen": "choose experts",
        "shares": "share of each",
        "planned": "sort into blocks",
        "mixed": "experts",
        "shared": "shared experts",
        "zero_unless": "zero padding",
        "keep_balance": "balance loss",
    },
)
