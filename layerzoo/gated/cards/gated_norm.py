"""The card of `GatedNorm`: what it claims, and the peer it is measured against."""

import keras

from layerzoo.card import Card, Peer, Traits
from layerzoo.gated.gated_norm import GatedNorm


@keras.saving.register_keras_serializable(package="layerzoo.peers")
class NormByHand(keras.layers.Layer):
    """`RMSNormalization`, gated by its own input, as a user would write it."""

    def build(self, input_shape):
        """Build the norm."""
        self.norm = keras.layers.RMSNormalization(epsilon=1e-6)
        self.norm.build(input_shape)

    def call(self, inputs):
        """Normalise and gate."""
        return self.norm(inputs) * keras.ops.silu(inputs)


@keras.saving.register_keras_serializable(package="layerzoo.peers")
class GatedByItself(keras.layers.Layer):
    """`GatedNorm`, gated by its own input."""

    def build(self, input_shape):
        """Build the norm."""
        self.norm = GatedNorm()
        self.norm.build(input_shape, input_shape)

    def call(self, inputs):
        """Normalise and gate."""
        return self.norm(inputs, gate=inputs)


PEER = Peer(
    instead="keras.layers.RMSNormalization times keras.ops.silu, both gated by their own inputs",
    work=[
        dict(b=8, t=128, d=256),
        dict(b=8, t=512, d=768),
        dict(b=8, t=512, d=768, jit=True),
    ],
    layer=lambda sizes: GatedByItself(),
    peer=lambda sizes: NormByHand(),
)


CARD = Card(
    layer=GatedNorm,
    inputs={"inputs": "b t d", "gate": "b t d"},
    configs=lambda pick: dict(
        activation=pick(["silu", "sigmoid", "gelu", None]),
        group_size=pick([None, 2, 3]),
        epsilon=pick([1e-6, 1e-2]),
    ),
    dims=lambda pick, config: dict(d=pick([6, 12])),
    traits=Traits(
        masking="propagates",
        dynamic="b t",
        reach=(0, 0),
    ),
    errors=[
        dict(group_size=0),
        dict(group_size=2.5),
        dict(epsilon=0),
        dict(epsilon="small"),
    ],
    paper="arXiv:2412.06464",
    year=2024,
    paper_title="Gated Delta Networks: Improving Mamba2 with Delta Rule",
    paper_authors="Songlin Yang and Jan Kautz and Ali Hatamizadeh",
    tags=["sequence", "norm"],
    aliases=[
        "RMSNormGated",
        "gated RMSNorm",
        "gated RMS normalization",
        "group RMSNorm",
        "fla.modules.FusedRMSNormGated",
        "mamba_ssm.ops.triton.layernorm_gated.RMSNorm",
    ],
    peer=PEER,
)
