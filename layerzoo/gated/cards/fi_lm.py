"""The card of `FiLM`: what it claims, and the peer it is measured against."""

import keras

from layerzoo.card import Card, Peer, Traits
from layerzoo.gated.fi_lm import FiLM


@keras.saving.register_keras_serializable(package="layerzoo.peers")
class ModulatedByHand(keras.layers.Layer):
    """Two Dense layers of a condition, Multiply and Add; the condition is the mean of the inputs."""

    def build(self, input_shape):
        """Build the layers."""
        width = input_shape[-1]
        self.scale, self.shift = keras.layers.Dense(width), keras.layers.Dense(width)
        self.scale.build((None, width))
        self.shift.build((None, width))

    def call(self, inputs):
        """Modulate."""
        condition = keras.ops.mean(inputs, axis=(1, 2))
        scale, shift = (
            keras.ops.expand_dims(layer(condition), (1, 2)) for layer in (self.scale, self.shift)
        )
        return (1 + scale) * inputs + shift


@keras.saving.register_keras_serializable(package="layerzoo.peers")
class ModulatedByItsMean(keras.layers.Layer):
    """`FiLM`, whose condition is the mean of the inputs."""

    def build(self, input_shape):
        """Build it."""
        self.film = FiLM("glorot_uniform")
        self.film.build(input_shape, (input_shape[0], input_shape[-1]))

    def call(self, inputs):
        """Modulate."""
        return self.film(inputs, condition=keras.ops.mean(inputs, axis=(1, 2)))


PEER = Peer(
    instead="two Dense of a condition, a product and a sum; the condition is the mean of the inputs",
    work=[dict(b=8, y=32, x=32, c=64), dict(b=8, y=32, x=32, c=64, jit=True)],
    layer=lambda sizes: ModulatedByItsMean(),
    peer=lambda sizes: ModulatedByHand(),
)

AXES = {
    "channels_last": {"inputs": "b y x c", "condition": "b w"},
    "channels_first": {"inputs": "b c y x", "condition": "b w"},
    None: {"inputs": "b t c", "condition": "b t w"},
}

CARD = Card(
    layer=FiLM,
    inputs=lambda config: AXES[config.get("data_format")],
    configs=lambda pick: dict(
        kernel_initializer=pick(["zeros", "glorot_uniform"]),
        **pick([dict(data_format="channels_last"), dict(data_format="channels_first"), {}]),
    ),
    dims=lambda pick, config: dict(c=pick([4, 6]), w=pick([5, 3])),
    traits=Traits(
        masking=lambda config: None if config.get("data_format") else "propagates",
        dynamic=lambda config: "b y x" if config.get("data_format") else "b t",
        reach=lambda config: None if config.get("data_format") else (0, 0),
        identity_at_start=lambda config: config["kernel_initializer"] == "zeros",
    ),
    errors=[dict(kernel_initializer="small"), dict(data_format="last")],
    paper="arXiv:1709.07871",
    year=2017,
    paper_title="FiLM: Visual Reasoning with a General Conditioning Layer",
    paper_authors=(
        "Ethan Perez and Florian Strub and Harm de Vries and Vincent Dumoulin and Aaron Courville"
    ),
    tags=["image", "sequence", "condition"],
    aliases=[
        "feature-wise linear modulation",
        "conditional affine transformation",
        "conditional scale and shift",
    ],
    peer=PEER,
)
