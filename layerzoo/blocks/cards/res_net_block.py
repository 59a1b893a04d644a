"""The card of `ResNetBlock`: what it claims, and the peer it is measured against."""

import keras

from layerzoo.blocks.cards._traits import empty_batches, images, kinked_by_relu, strided_on_jax
from layerzoo.blocks.res_net_block import ResNetBlock
from layerzoo.card import Card, Peer, Traits


def by_hand(sizes):
    """The same block, wired by hand in a Functional model."""
    inputs = keras.Input((sizes["y"], sizes["x"], sizes["c"]))
    x = inputs
    for activation in ("relu", None):
        x = keras.layers.Conv2D(sizes["c"], 3, padding="same", use_bias=False)(x)
        x = keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5)(x)
        x = keras.layers.Activation(activation)(x)
    return keras.Model(inputs, keras.layers.ReLU()(keras.layers.Add()([inputs, x])))


PEER = Peer(
    instead="Conv2D, BatchNormalization, ReLU and Add in a Functional model",
    work=[
        dict(b=8, y=28, x=28, c=64),
        dict(b=8, y=7, x=7, c=256),
        dict(b=8, y=7, x=7, c=256, jit=True),
    ],
    layer=lambda sizes: ResNetBlock(sizes["c"]),
    peer=by_hand,
    operations=lambda b, y, x, c, **_: 3 * 2 * b * y * x * 2 * 9 * c * c,
)


def from_timm(theirs, layer):
    """Copy the weights of timm's `BasicBlock`, or of a `PreActBasic` with batch norm."""
    weights = {name: value.numpy() for name, value in theirs.state_dict().items()}
    preactivation = hasattr(theirs, "norm1")

    def convolution(name):
        return [weights[f"{name}.weight"].transpose(2, 3, 1, 0)]

    def norm(name):
        parts = ("weight", "bias", "running_mean", "running_var")
        return [weights[f"{name}.{part}"] for part in parts]

    layer.convolution_1.set_weights(convolution("conv1"))
    layer.convolution_2.set_weights(convolution("conv2"))
    layer.norm_1.set_weights(norm("norm1" if preactivation else "bn1"))
    layer.norm_2.set_weights(norm("norm2" if preactivation else "bn2"))
    if theirs.downsample is not None and preactivation:
        layer.project.set_weights(convolution("downsample.conv"))
    elif theirs.downsample is not None:
        layer.project.set_weights(convolution("downsample.0"))
        layer.project_norm.set_weights(norm("downsample.1"))


CARD = Card(
    layer=ResNetBlock,
    inputs=images,
    configs=lambda pick: dict(
        filters=pick([4, 6]),
        kernel_size=pick([3, 1]),
        strides=pick([1, 2]),
        groups=pick([1, 2]),
        preactivation=pick([False, True]),
        zero_init=pick([False, True]),
        drop_path=pick([0.0, 0.4]),
        activation=pick(["relu", "silu"]),
        kernel_initializer=pick(["he_normal", "glorot_uniform"]),
        momentum=pick([0.9, 0.5]),
        epsilon=pick([1e-5, 1e-2]),
        seed=pick([None, 3]),
        data_format=pick(["channels_last", "channels_first"]),
    ),
    dims=lambda pick, config: dict(c=pick([4, 6])),
    traits=Traits(
        dynamic="b y x",
        zero_batch=empty_batches,
        stochastic=lambda config: config["drop_path"] > 0,
        train_differs=True,
        couples_batch="training",
        state="training",
        differentiable=kinked_by_relu,
    ),
    errors=[
        dict(filters=0),
        dict(filters=8, kernel_size=4),
        dict(filters=8, strides=0),
        dict(filters=8, strides=(2, 1)),
        dict(filters=8, groups=3),
        dict(filters=8, momentum=1.5),
        dict(filters=8, data_format="last"),
    ],
    paper="arXiv:1512.03385",
    year=2015,
    paper_title="Deep Residual Learning for Image Recognition",
    paper_authors="Kaiming He and Xiangyu Zhang and Shaoqing Ren and Jian Sun",
    tags=["image", "convolution", "block"],
    aliases=[
        "basic block",
        "residual block",
        "pre-activation ResNet",
        "ResNet v2",
        "timm.models.resnet.BasicBlock",
        "timm.models.resnetv2.PreActBasic",
        "torchvision.models.resnet.BasicBlock",
        "keras_cv.models.ResNetBackbone",
    ],
    failing_exports=strided_on_jax,
    peer=PEER,
    weights_from={"timm": from_timm},
    boxes={
        "norm_1": "BatchNorm",
        "norm_2": "BatchNorm",
        "project_norm": "BatchNorm",
        "convolution_1": "Conv 3×3",
        "convolution_2": "Conv 3×3",
        "project": "Conv 1×1",
        "add": "+",
    },
)
