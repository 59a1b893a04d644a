"""The card of `ConvNeXtBlock`: what it claims, and the peer it is measured against."""

import keras

from layerzoo.blocks.cards._traits import images
from layerzoo.blocks.conv_ne_xt_block import ConvNeXtBlock
from layerzoo.card import Card, Peer, Traits


def by_hand(sizes):
    """The same block, wired by hand in a Functional model."""
    inputs = keras.Input((sizes["y"], sizes["x"], sizes["c"]))
    x = keras.layers.DepthwiseConv2D(7, padding="same")(inputs)
    x = keras.layers.LayerNormalization(epsilon=1e-6)(x)
    x = keras.layers.Dense(4 * sizes["c"], activation="gelu")(x)
    x = keras.layers.Dense(sizes["c"])(x)
    return keras.Model(inputs, keras.layers.Add()([inputs, x]))


PEER = Peer(
    instead="DepthwiseConv2D, LayerNormalization, two Dense and Add, both without the factor per channel",
    work=[
        dict(b=8, y=28, x=28, c=96),
        dict(b=8, y=7, x=7, c=384),
        dict(b=8, y=7, x=7, c=384, jit=True),
    ],
    layer=lambda sizes: ConvNeXtBlock(layer_scale=None),
    peer=by_hand,
    operations=lambda b, y, x, c, **_: 3 * 2 * b * y * x * (2 * 4 * c * c + 49 * c),
)


def from_timm(theirs, layer):
    """Copy the weights of timm's `ConvNeXtBlock`, of V1 or V2."""
    weights = {name: value.numpy() for name, value in theirs.state_dict().items()}

    def dense(name):
        kernel = weights[f"{name}.weight"]
        return [kernel.reshape(kernel.shape[:2]).T, weights[f"{name}.bias"]]

    kernel = weights["conv_dw.weight"].transpose(2, 3, 0, 1)
    layer.depthwise.set_weights([kernel, weights["conv_dw.bias"]])
    layer.norm.set_weights([weights["norm.weight"], weights["norm.bias"]])
    layer.expand.set_weights(dense("mlp.fc1"))
    layer.project.set_weights(dense("mlp.fc2"))
    if layer.global_response_norm:
        layer.response_gamma.assign(weights["mlp.grn.weight"])
        layer.response_beta.assign(weights["mlp.grn.bias"])
    if layer.layer_scale is not None:
        layer.scale.gamma.assign(weights["gamma"])


CARD = Card(
    layer=ConvNeXtBlock,
    inputs=images,
    configs=lambda pick: dict(
        kernel_size=pick([7, 3]),
        expansion=pick([4, 2]),
        global_response_norm=pick([False, True]),
        layer_scale=pick([1e-6, None, 0.5, 0.0]),
        drop_path=pick([0.0, 0.4]),
        activation=pick(["gelu", "silu"]),
        use_bias=pick([True, False]),
        kernel_initializer=pick(["glorot_uniform", "he_normal"]),
        epsilon=pick([1e-6, 1e-2]),
        seed=pick([None, 3]),
        data_format=pick(["channels_last", "channels_first"]),
    ),
    dims=lambda pick, config: dict(c=pick([4, 6])),
    traits=Traits(
        dynamic="b y x",
        stochastic=lambda config: config["drop_path"] > 0,
        identity_at_start=lambda config: config["layer_scale"] == 0,
    ),
    errors=[
        dict(kernel_size=4),
        dict(expansion=0),
        dict(expansion=2.5),
        dict(layer_scale=-1.0),
        dict(drop_path="often"),
        dict(data_format="last"),
    ],
    paper="arXiv:2201.03545",
    year=2022,
    paper_title="A ConvNet for the 2020s",
    paper_authors=(
        "Zhuang Liu and Hanzi Mao and Chao-Yuan Wu and Christoph Feichtenhofer and Trevor Darrell and "
        "Saining Xie"
    ),
    tags=["image", "convolution", "block"],
    aliases=[
        "ConvNeXt V2",
        "global response normalization",
        "GRN",
        "timm.models.convnext.ConvNeXtBlock",
        "timm.layers.GlobalResponseNorm",
        "torchvision.models.convnext.CNBlock",
        "transformers.models.convnext.modeling_convnext.ConvNextLayer",
    ],
    peer=PEER,
    weights_from={"timm": from_timm},
    boxes={
        "depthwise": "7×7",
        "norm": "LayerNorm",
        "activated": "GELU",
        "global_response_norm": "global response norm",
        "add": "+",
    },
)
