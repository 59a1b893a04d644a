"""The card of `InvertedResidual`: what it claims, and the peer it is measured against."""

import keras

from layerzoo.blocks.cards._traits import empty_batches, images, kinked_by_relu, strided_on_jax
from layerzoo.blocks.inverted_residual import InvertedResidual
from layerzoo.card import Card, Peer, Traits


def by_hand(sizes):
    """The same block, wired by hand in a Functional model."""
    inputs = keras.Input((sizes["y"], sizes["x"], sizes["c"]))
    x = keras.layers.Conv2D(6 * sizes["c"], 1, use_bias=False)(inputs)
    x = keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5)(x)
    x = keras.layers.Activation("relu6")(x)
    x = keras.layers.DepthwiseConv2D(3, padding="same", use_bias=False)(x)
    x = keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5)(x)
    x = keras.layers.Activation("relu6")(x)
    x = keras.layers.Conv2D(sizes["c"], 1, use_bias=False)(x)
    x = keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5)(x)
    return keras.Model(inputs, keras.layers.Add()([inputs, x]))


PEER = Peer(
    instead="Conv2D, DepthwiseConv2D, BatchNormalization, ReLU6 and Add in a Functional model",
    work=[
        dict(b=8, y=28, x=28, c=32),
        dict(b=8, y=7, x=7, c=160),
        dict(b=8, y=7, x=7, c=160, jit=True),
    ],
    layer=lambda sizes: InvertedResidual(sizes["c"]),
    peer=by_hand,
    operations=lambda b, y, x, c, **_: 3 * 2 * b * y * x * (2 * 6 * c * c + 9 * 6 * c),
)


def from_timm(theirs, layer):
    """Copy the weights of timm's `InvertedResidual`, or of a `DepthwiseSeparableConv` (`expansion=1`)."""
    weights = {name: value.numpy() for name, value in theirs.state_dict().items()}
    names = {"expand": "conv_pw", "depthwise": "conv_dw", "project": "conv_pwl"}
    if layer.expand is None:
        names = {"depthwise": "conv_dw", "project": "conv_pw"}

    def norm(name):
        parts = ("weight", "bias", "running_mean", "running_var")
        return [weights[f"{name}.{part}"] for part in parts]

    def dense(name):
        return [weights[f"{name}.weight"][:, :, 0, 0].T, weights[f"{name}.bias"]]

    for i, (name, conv) in enumerate(names.items(), start=1):
        axes = (2, 3, 0, 1) if name == "depthwise" else (2, 3, 1, 0)
        getattr(layer, name).set_weights([weights[f"{conv}.weight"].transpose(axes)])
        getattr(layer, f"{name}_norm").set_weights(norm(f"bn{i}"))
    if layer.excite is not None:
        layer.excite.reduce.set_weights(dense("se.conv_reduce"))
        layer.excite.expand.set_weights(dense("se.conv_expand"))


CARD = Card(
    layer=InvertedResidual,
    inputs=images,
    configs=lambda pick: dict(
        filters=pick([4, 6]),
        expansion=pick([2, 1, 3]),
        kernel_size=pick([3, 5]),
        strides=pick([1, 2]),
        squeeze_ratio=pick([None, 2]),
        drop_path=pick([0.0, 0.4]),
        activation=pick(["relu6", "silu"]),
        kernel_initializer=pick(["he_normal", "glorot_uniform"]),
        momentum=pick([0.9, 0.5]),
        epsilon=pick([1e-5, 1e-2]),
        seed=pick([None, 3]),
        data_format=pick(["channels_last", "channels_first"]),
    ),
    dims=lambda pick, config: dict(c=config["filters"] if config["drop_path"] else pick([4, 6])),
    traits=Traits(
        dynamic="b y x",
        zero_batch=empty_batches,
        stochastic=lambda config: config["drop_path"] > 0 and config["strides"] == 1,
        train_differs=True,
        couples_batch="training",
        state="training",
        differentiable=kinked_by_relu,
    ),
    errors=[
        dict(filters=0),
        dict(filters=8, expansion=0),
        dict(filters=8, expansion=1.5),
        dict(filters=8, kernel_size=4),
        dict(filters=8, strides="same"),
        dict(filters=8, squeeze_ratio=0.25),
        dict(filters=8, data_format="last"),
    ],
    paper="arXiv:1801.04381",
    year=2018,
    paper_title="MobileNetV2: Inverted Residuals and Linear Bottlenecks",
    paper_authors=(
        "Mark Sandler and Andrew Howard and Menglong Zhu and Andrey Zhmoginov and Liang-Chieh Chen"
    ),
    tags=["image", "convolution", "block"],
    aliases=[
        "MBConv",
        "inverted bottleneck",
        "linear bottleneck",
        "depthwise separable convolution",
        "MobileNetV2",
        "EfficientNet",
        "timm.models._efficientnet_blocks.InvertedResidual",
        "timm.models._efficientnet_blocks.DepthwiseSeparableConv",
        "torchvision.models.mobilenetv2.InvertedResidual",
        "keras_cv.layers.MBConvBlock",
    ],
    failing_exports=strided_on_jax,
    peer=PEER,
    weights_from={"timm": from_timm},
    boxes={
        "expand": "Conv 1×1",
        "depthwise": "3×3",
        "project": "Conv 1×1",
        "expand_norm": "BatchNorm",
        "depthwise_norm": "BatchNorm",
        "project_norm": "BatchNorm",
        "excite": "SqueezeExcite",
        "add": "+",
    },
)
