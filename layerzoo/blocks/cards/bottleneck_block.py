"""The card of `BottleneckBlock`: what it claims, and the peer it is measured against."""

import keras

from layerzoo.blocks.bottleneck_block import BottleneckBlock
from layerzoo.blocks.cards._traits import empty_batches, images, kinked_by_relu, strided_on_jax
from layerzoo.card import Card, Peer, Traits


def by_hand(sizes):
    """The same block, wired by hand in a Functional model."""
    inputs = keras.Input((sizes["y"], sizes["x"], sizes["c"]))
    width = sizes["c"] // 4
    x = inputs
    for filters, size, activation in ((width, 1, "relu"), (width, 3, "relu"), (4 * width, 1, None)):
        x = keras.layers.Conv2D(filters, size, padding="same", use_bias=False)(x)
        x = keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5)(x)
        x = keras.layers.Activation(activation)(x)
    return keras.Model(inputs, keras.layers.ReLU()(keras.layers.Add()([inputs, x])))


PEER = Peer(
    instead="Conv2D, BatchNormalization, ReLU and Add in a Functional model",
    work=[
        dict(b=8, y=28, x=28, c=256),
        dict(b=8, y=7, x=7, c=1024),
        dict(b=8, y=7, x=7, c=1024, jit=True),
    ],
    layer=lambda sizes: BottleneckBlock(sizes["c"]),
    peer=by_hand,
    operations=lambda b, y, x, c, **_: 3 * 2 * b * y * x * (2 * c * c // 4 + 9 * c * c // 16),
)


def from_timm(theirs, layer):
    """Copy the weights of timm's `Bottleneck`, which is also the block of its ResNeXt and SE-ResNet."""
    weights = {name: value.numpy() for name, value in theirs.state_dict().items()}

    def convolution(name):
        return [weights[f"{name}.weight"].transpose(2, 3, 1, 0)]

    def norm(name):
        parts = ("weight", "bias", "running_mean", "running_var")
        return [weights[f"{name}.{part}"] for part in parts]

    def dense(name):
        return [weights[f"{name}.weight"][:, :, 0, 0].T, weights[f"{name}.bias"]]

    for i, name in enumerate(("reduce", "middle", "expand"), start=1):
        getattr(layer, name).set_weights(convolution(f"conv{i}"))
        getattr(layer, f"{name}_norm").set_weights(norm(f"bn{i}"))
    if theirs.se is not None:
        layer.excite.reduce.set_weights(dense("se.fc1"))
        layer.excite.expand.set_weights(dense("se.fc2"))
    if theirs.downsample is not None:
        layer.project.set_weights(convolution("downsample.0"))
        layer.project_norm.set_weights(norm("downsample.1"))


CARD = Card(
    layer=BottleneckBlock,
    inputs=images,
    configs=lambda pick: dict(
        filters=pick([16, 24]),
        strides=pick([1, 2]),
        groups=pick([1, 2]),
        width=pick([None, 4]),
        squeeze_ratio=pick([None, 2]),
        zero_init=pick([False, True]),
        drop_path=pick([0.0, 0.4]),
        activation=pick(["relu", "silu"]),
        kernel_initializer=pick(["he_normal", "glorot_uniform"]),
        momentum=pick([0.9, 0.5]),
        epsilon=pick([1e-5, 1e-2]),
        seed=pick([None, 3]),
        data_format=pick(["channels_last", "channels_first"]),
    ),
    dims=lambda pick, config: dict(c=pick([16, 8])),
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
        dict(filters=8, strides=1.5),
        dict(filters=8, groups=3),
        dict(filters=8, groups=3, width=4),
        dict(filters=8, squeeze_ratio=0),
        dict(filters=8, drop_path=2),
        dict(filters=8, data_format="last"),
    ],
    paper="arXiv:1512.03385",
    year=2015,
    paper_title="Deep Residual Learning for Image Recognition",
    paper_authors="Kaiming He and Xiangyu Zhang and Shaoqing Ren and Jian Sun",
    tags=["image", "convolution", "block"],
    aliases=[
        "bottleneck",
        "ResNeXt",
        "SE-ResNet",
        "Wide ResNet",
        "timm.models.resnet.Bottleneck",
        "torchvision.models.resnet.Bottleneck",
    ],
    failing_exports=strided_on_jax,
    peer=PEER,
    weights_from={"timm": from_timm},
    boxes={
        "reduce": "Conv 1×1",
        "middle": "Conv 3×3",
        "expand": "Conv 1×1",
        "project": "Conv 1×1",
        "reduce_norm": "BatchNorm",
        "middle_norm": "BatchNorm",
        "expand_norm": "BatchNorm",
        "project_norm": "BatchNorm",
        "excite": "SqueezeExcite",
        "add": "+",
    },
)
