"""The card of `WindowAttention`: what it claims, and the peer it is measured against."""

import keras

from layerzoo.attention.window_attention import WindowAttention
from layerzoo.card import Card, Peer, Traits


@keras.saving.register_keras_serializable(package="layerzoo.peers")
class AttentionOverPixels(keras.layers.Layer):
    """`MultiHeadAttention` over all pixels of an image, as one sequence."""

    def build(self, input_shape):
        """Build the attention with one sequence for all three inputs."""
        _, y, x, c = input_shape
        self.attention = keras.layers.MultiHeadAttention(6, c // 6)
        self.attention.build(*[(None, y * x, c)] * 3)

    def call(self, inputs):
        """Attend to the image itself."""
        _, y, x, c = inputs.shape
        pixels = keras.ops.reshape(inputs, (-1, y * x, c))
        attended = self.attention(pixels, pixels, pixels)
        return keras.ops.reshape(attended, (-1, y, x, c))


PEER = Peer(
    instead="keras.layers.MultiHeadAttention over all pixels",
    work=[dict(b=4, y=28, x=28, c=192), dict(b=1, y=56, x=56, c=96)],
    layer=lambda sizes: WindowAttention(6, window_size=7, shift=3),
    peer=lambda sizes: AttentionOverPixels(),
)

CARD = Card(
    layer=WindowAttention,
    inputs="b y x c",
    configs=lambda pick: dict(
        num_heads=pick([2, 1, 3]),
        window_size=(w := pick([3, 4, 2])),
        shift=pick([0, w // 2, w - 1]),
        use_bias=pick([True, False]),
        dropout=pick([0.0, 0.4]),
        kernel_initializer=pick(["glorot_uniform", "he_normal"]),
        seed=pick([None, 3]),
    ),
    dims=lambda pick, config: dict(c=pick([4, 2]) * config["num_heads"]),
    traits=Traits(
        masking="propagates",
        strict_masks=True,
        dynamic="b y x",
        stochastic=lambda config: config["dropout"] > 0,
        twice_differentiable=True,
    ),
    errors=[
        dict(num_heads=0, window_size=3),
        dict(num_heads=2, window_size=2.5),
        dict(num_heads=2, window_size=3, shift=3),
        dict(num_heads=2, window_size=3, shift=-1),
        dict(num_heads=2, window_size=3, shift=1.0),
        dict(num_heads=2, window_size=3, dropout=1.5),
    ],
    paper="arXiv:2103.14030",
    year=2021,
    paper_title="Swin Transformer: Hierarchical Vision Transformer using Shifted Windows",
    paper_authors=(
        "Ze Liu and Yutong Lin and Yue Cao and Han Hu and Yixuan Wei and Zheng Zhang and "
        "Stephen Lin and Baining Guo"
    ),
    tags=["image"],
    aliases=[
        "Swin",
        "Swin Transformer",
        "W-MSA",
        "SW-MSA",
        "shifted-window attention",
        "timm.models.swin_transformer.WindowAttention",
    ],
    peer=PEER,
    boxes={
        "query_key_value": "query, key, value",
        "offset_bias": "bias by offset",
        "attend_in_windows": "attention in each window",
    },
)
