"""The card of `AdaptiveLayerNorm`: what it claims, and the peer it is measured against."""

import keras
from keras import layers

from layerzoo.attention.self_attention import SelfAttention
from layerzoo.card import Card, Peer, Traits
from layerzoo.gated.adaptive_layer_norm import AdaptiveLayerNorm


@keras.saving.register_keras_serializable(package="layerzoo.peers")
class ModulatedByHand(keras.layers.Layer):
    """A branch of a diffusion Transformer, as a user would write it; the condition is the mean."""

    def build(self, input_shape):
        """Build the layers."""
        width = input_shape[-1]
        self.norm = keras.layers.LayerNormalization(epsilon=1e-6, center=False, scale=False)
        self.norm.build(input_shape)
        self.modulation = keras.layers.Dense(3 * width, kernel_initializer="zeros")
        self.modulation.build((None, width))
        self.inside = keras.layers.Dense(width, activation="relu")
        self.inside.build(input_shape)

    def call(self, inputs):
        """Modulate, and add."""
        condition = keras.ops.silu(keras.ops.mean(inputs, axis=1, keepdims=True))
        shift, scale, gate = keras.ops.split(self.modulation(condition), 3, axis=-1)
        return inputs + gate * self.inside(self.norm(inputs) * (1 + scale) + shift)


@keras.saving.register_keras_serializable(package="layerzoo.peers")
class ModulatedByItsMean(keras.layers.Layer):
    """`AdaptiveLayerNorm`, whose condition is the mean of the inputs."""

    def build(self, input_shape):
        """Build it."""
        self.block = AdaptiveLayerNorm(keras.layers.Dense(input_shape[-1], activation="relu"))
        self.block.build(input_shape, (input_shape[0], input_shape[-1]))

    def call(self, inputs):
        """Modulate, and add."""
        return self.block(inputs, condition=keras.ops.mean(inputs, axis=1))


PEER = Peer(
    instead="LayerNormalization, Dense of a condition and Dense, by hand; the condition is the mean",
    work=[dict(b=8, t=128, d=256), dict(b=8, t=128, d=256, jit=True)],
    layer=lambda sizes: ModulatedByItsMean(),
    peer=lambda sizes: ModulatedByHand(),
)


def attends(config):
    """Whether the branch mixes the steps of a sequence."""
    return isinstance(config["layer"], SelfAttention)


def of_steps(config):
    """Whether each step has a condition of its own, in these samples."""
    layer = config["layer"]
    return layer.causal if attends(config) else not isinstance(layer, layers.Dense)


def causal(config):
    """Whether no output depends on later steps; nothing is claimed where the condition has steps too."""
    return None if of_steps(config) else not attends(config)


def continues(config):
    """Whether it continues from a state, given each part's condition; nothing is claimed of one for all."""
    return True if of_steps(config) else False if attends(config) else None


CARD = Card(
    layer=AdaptiveLayerNorm,
    inputs=lambda config: {
        "inputs": "b t d",
        "condition": "b t w" if of_steps(config) else "b w",
    },
    configs=lambda pick: dict(
        layer=pick(
            [
                lambda: layers.Dense(6, activation="tanh"),
                lambda: SelfAttention(2, causal=True),
                lambda: SelfAttention(2),
                lambda: [layers.Dense(8, activation="tanh"), layers.Dense(6)],
                lambda: None,
            ]
        )(),
        zero_init=pick([True, False]),
        activation=pick(["silu", "tanh", None]),
        epsilon=pick([1e-6, 1e-2]),
    ),
    dims=lambda pick, config: dict(d=6, w=pick([5, 3])),
    traits=Traits(
        masking="propagates",
        strict_masks=True,
        dynamic="b t",
        causal=causal,
        continues=continues,
        reach=lambda config: None if attends(config) else (0, 0),
        identity_at_start=lambda config: config["zero_init"] and config["layer"] is not None,
    ),
    errors=[
        dict(layer="dense"),
        dict(layer=[]),
        dict(layer=layers.Dense),
        dict(zero_init="yes"),
        dict(epsilon=0.0),
    ],
    paper="arXiv:2212.09748",
    year=2022,
    paper_title="Scalable Diffusion Models with Transformers",
    paper_authors="William Peebles and Saining Xie",
    tags=["wrapper", "transformer", "condition"],
    aliases=[
        "adaLN",
        "adaLN-Zero",
        "AdaLayerNorm",
        "conditional layer normalization",
        "DiT",
        "diffusers.models.normalization.AdaLayerNormZero",
        "diffusers.models.normalization.AdaLayerNorm",
    ],
    peer=PEER,
)
