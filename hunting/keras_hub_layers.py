"""A card for every public layer of KerasHub that the kit can check, and a reason for every other."""

from importlib.util import find_spec

import keras
import keras_hub
import numpy as np
from keras import layers

from layerzoo.catalogue import Card, Tensor, Traits

VERSION = "0.32.0"
"""The release for which the cards were written."""

hub = keras_hub.layers

TORCHVISION = find_spec("torchvision") is not None

ALIGNS = keras.backend.backend() != "torch" or TORCHVISION
"""Whether `SAM3GeometryEncoder` can be called: on PyTorch it needs torchvision."""


def noisy(config) -> bool:
    """Whether training draws random numbers."""
    names = ("dropout", "dropout_rate", "attention_dropout_rate", "hidden_dropout_rate")
    return any(config.get(name) for name in names)


def bent(config) -> str:
    """ReLU, which most of these layers have by default, has no derivative at zero."""
    names = ("activation", "hidden_activation", "intermediate_activation")
    smooth = all(config.get(name, "gelu") in ("gelu", "tanh", None) for name in names)
    return "smooth" if smooth else "kinked"


def projected(pick) -> dict:
    """The arguments that the encoders and decoders share."""
    return dict(
        intermediate_dim=pick((8, 5)),
        dropout=pick((0.0, 0.3)),
        activation=pick(("relu", "gelu")),
        layer_norm_epsilon=pick((1e-5, 1e-3)),
        kernel_initializer=pick(("glorot_uniform", "he_normal")),
        bias_initializer=pick(("zeros", "ones")),
    )


def transformer(pick) -> dict:
    """The arguments of `TransformerEncoder` and `TransformerDecoder`."""
    return dict(**projected(pick), num_heads=pick((2, 3)), normalize_first=pick((False, True)))


def yarn(pick) -> dict:
    """The arguments of `RotaryEmbedding`, some of which only matter with YaRN."""
    return dict(
        max_wavelength=pick((10_000, 100)),
        scaling_factor=pick((1.0, 2.0)),
        rope_type=pick(("linear", "yarn", "dynamic")),
        beta_fast=pick((32.0, 8.0)),
        beta_slow=pick((1.0, 0.5)),
        original_max_position_embeddings=pick((4096, 64)),
        truncate=pick((True, False)),
        sequence_axis=pick((1, -2)),
        feature_axis=pick((-1, 2)),
        denominator_dim=pick((None, 8)),
    )


def boxes(pick) -> dict:
    """The arguments of `BoxMatcher`; the lists must be new, because it keeps and changes them."""
    thresholds, values = pick((((0.5,), (0, 1)), ((0.3, 0.6), (-1, -2, 1))))
    return dict(
        thresholds=list(thresholds),
        match_values=list(values),
        force_match_for_each_col=pick((False, True)),
    )


def detr(pick) -> dict:
    """The arguments that the SAM3 transformers share."""
    return dict(
        num_layers=pick((1, 2)),
        hidden_dim=8,
        intermediate_dim=pick((6, 5)),
        num_heads=pick((2, 4)),
        hidden_activation=pick(("relu", "gelu")),
        dropout_rate=pick((0.0, 0.3)),
        layer_norm_epsilon=pick((1e-6, 1e-3)),
    )


def turned(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The change in the vectors' length, which must be zero for a rotation of pairs."""
    return np.linalg.norm(y, axis=-1) - np.linalg.norm(x, axis=-1)


def tokens(axes: str, high: int) -> Tensor:
    """Token ids."""
    return Tensor(axes, "int32", 0, high)


def geometry(batch: int, height: int, width: int) -> Card:
    """A card of `SAM3GeometryEncoder` for a number of images, with features of a given size."""
    return Card(
        layer=hub.SAM3GeometryEncoder,
        inputs={
            "box_embeddings": Tensor("b s p", low=0.2, high=0.6),
            "box_masks": Tensor("b s", "bool"),
            "box_labels": Tensor("b s", "int32", 0, 2),
            "fpn_hidden_states": "b z y d",
            "fpn_position_encodings": "b z y d",
        },
        configs=lambda pick: dict(**detr(pick), roi_size=pick((2, 3))),
        dims=lambda pick, config: {"b": batch, "p": 5, "d": 8, "z": height, "y": width},
        # a box refers to its image by index in the batch; as drawn above, all refer to the first
        traits=Traits(
            dynamic="s",
            zero_batch=False,
            stochastic=noisy,
            differentiable="kinked",
            dead=("*/k_proj/bias",),
        ),
    )


CARDS = (
    Card(
        layer=hub.AlibiBias,
        inputs={"attention_scores": "b c t s"},
        configs=lambda pick: dict(alibi_bias_max=pick((8, 4))),
        traits=Traits(dynamic="b t s"),
    ),
    Card(
        layer=hub.AnchorGenerator,
        inputs="b z y c",
        configs=lambda pick: dict(
            bounding_box_format=pick(("xyxy", "center_xywh")),
            min_level=pick((1, 0)),
            max_level=pick((2, 1)),
            num_scales=pick((1, 2)),
            aspect_ratios=pick(([1.0], [0.5, 1.0, 2.0])),
            anchor_size=pick((2.0, 3.0)),
        ),
        # the anchors are for one image, so they have no batch axis
        traits=Traits(dynamic="", zero_batch=False, differentiable="none", dead=("inputs",)),
    ),
    Card(
        layer=hub.BoxMatcher,
        inputs={"similarity_matrix": Tensor("b t s", low=0.0, high=1.0)},
        configs=boxes,
        traits=Traits(dynamic="b t s", differentiable="none"),
    ),
    Card(
        layer=hub.CachedMultiHeadAttention,
        inputs={"query": "b t d", "value": "b s e"},
        configs=lambda pick: dict(
            num_heads=pick((2, 3)),
            key_dim=pick((3, 2)),
            value_dim=pick((None, 4)),
            dropout=pick((0.0, 0.3)),
            use_bias=pick((True, False)),
            output_shape=pick((None, 5)),
            seed=pick((None, 3)),
            kernel_initializer=pick(("glorot_uniform", "he_normal")),
            bias_initializer=pick(("zeros", "ones")),
        ),
        traits=Traits(
            masking={"query": "propagates", "value": "consumes"},
            dynamic="b t s",
            stochastic=noisy,
            dead=("key/bias",),
        ),
    ),
    Card(
        layer=hub.FNetEncoder,
        inputs="b t d",
        configs=projected,
        traits=Traits(dynamic="b t", causal=False, stochastic=noisy, differentiable=bent),
    ),
    Card(
        layer=hub.MaskedLMHead,
        inputs={"inputs": "b t d", "mask_positions": tokens("b s", 5)},
        configs=lambda pick: dict(
            token_embedding=pick(
                (lambda: None, lambda: layers.ReversibleEmbedding(7, 4, name="tokens"))
            )(),
            vocabulary_size=7,
            intermediate_activation=pick(("relu", "gelu")),
            activation=pick((None, "softmax")),
            layer_norm_epsilon=pick((1e-5, 1e-3)),
            kernel_initializer=pick(("glorot_uniform", "he_normal")),
            bias_initializer=pick(("zeros", "ones")),
        ),
        dims=lambda pick, config: {"t": 5, "d": 4},
        traits=Traits(dynamic="b s", differentiable=bent),
    ),
    Card(
        layer=hub.NonMaxSuppression,
        inputs={
            "box_prediction": Tensor("b t p", low=0.0, high=9.0),
            "class_prediction": Tensor("b t c", low=0.0, high=1.0),
        },
        configs=lambda pick: dict(
            bounding_box_format=pick(("xyxy", "center_xywh")),
            from_logits=pick((False, True)),
            iou_threshold=pick((0.5, 0.3)),
            confidence_threshold=pick((0.5, 0.4)),
            max_detections=pick((100, 3)),
        ),
        dims=lambda pick, config: {"p": 4},
        traits=Traits(dynamic="b t", differentiable="kinked"),
    ),
    Card(
        layer=hub.PositionEmbedding,
        inputs="b t d",
        configs=lambda pick: dict(
            sequence_length=pick((16, 12)), initializer=pick(("glorot_uniform", "he_normal"))
        ),
        traits=Traits(dynamic="b t", dead=("inputs",)),
    ),
    Card(
        layer=hub.RMSNormalization,
        inputs={"x": "b t d"},
        configs=lambda pick: dict(input_dim=pick((4, 6))),
        dims=lambda pick, config: {"d": config["input_dim"]},
        traits=Traits(dynamic="b t", reach=(0, 0), twice_differentiable=True),
    ),
    Card(
        layer=hub.ReversibleEmbedding,
        inputs=tokens("b t", 7),
        configs=lambda pick: dict(
            input_dim=7,
            output_dim=pick((4, 3)),
            tie_weights=pick((True, False)),
            embeddings_initializer=pick(("uniform", "he_normal")),
            mask_zero=pick((False, True)),
            embeddings_regularizer=pick((None, "l2")),
            embeddings_constraint=pick((None, "max_norm")),
            reverse_dtype=pick((None, "float32")),
            logit_soft_cap=pick((None, 5.0)),
        ),
        traits=Traits(dynamic="b t", reach=(0, 0), dead=("reverse_embeddings",)),
    ),
    Card(
        layer=hub.RotaryEmbedding,
        inputs="b t d",
        configs=yarn,
        dims=lambda pick, config: {"d": pick((4, 6))},
        traits=Traits(
            dynamic="b t",
            reach=(0, 0),
            twice_differentiable=True,
            conserves=lambda config: {} if config["rope_type"] == "yarn" else {"length": turned},
        ),
    ),
    Card(
        layer=hub.SinePositionEncoding,
        inputs="b t d",
        configs=lambda pick: dict(max_wavelength=pick((10_000, 100))),
        traits=Traits(dynamic="b t", dead=("inputs",)),
    ),
    Card(
        layer=hub.StartEndPacker,
        inputs=tokens("b t", 9),
        configs=lambda pick: dict(
            sequence_length=pick((8, 6)),
            start_value=pick((None, [1, 2])),
            end_value=pick((None, 3)),
            pad_value=pick((None, 4)),
            return_padding_mask=pick((False, True)),
            padding_side=pick(("right", "left")),
        ),
        traits=Traits(dynamic="b t", differentiable="none"),
    ),
    Card(
        layer=hub.TokenAndPositionEmbedding,
        inputs=tokens("b t", 7),
        configs=lambda pick: dict(
            vocabulary_size=7,
            sequence_length=pick((16, 12)),
            embedding_dim=pick((4, 3)),
            tie_weights=pick((True, False)),
            embeddings_initializer=pick(("uniform", "he_normal")),
            mask_zero=pick((False, True)),
        ),
        traits=Traits(dynamic="b t", reach=(0, 0), dead=("*/reverse_embeddings",)),
    ),
    Card(
        layer=hub.TransformerDecoder,
        inputs={"decoder_sequence": "b t d"},
        configs=transformer,
        traits=Traits(
            masking="propagates",
            dynamic="b t",
            causal=True,
            stochastic=noisy,
            differentiable=bent,
            dead=("*/key/bias",),
        ),
    ),
    Card(
        layer=hub.TransformerEncoder,
        inputs="b t d",
        configs=transformer,
        traits=Traits(
            masking="propagates",
            dynamic="b t",
            causal=False,
            stochastic=noisy,
            differentiable=bent,
            dead=("*/key/bias",),
        ),
    ),
    Card(
        layer=hub.SAMMaskDecoder,
        inputs={
            "image_embeddings": "b z y d",
            "prompt_dense_positional_embeddings": "b z y d",
            "prompt_sparse_embeddings": "b t d",
            "prompt_dense_embeddings": "b z y d",
        },
        configs=lambda pick: dict(
            hidden_size=8,
            num_layers=1,
            intermediate_dim=pick((6, 5)),
            num_heads=pick((2, 4)),
            embedding_dim=8,
            num_multimask_outputs=pick((3, 2)),
            iou_head_depth=pick((3, 2)),
            iou_head_hidden_dim=pick((6, 5)),
            activation=pick(("gelu", "tanh")),
        ),
        dims=lambda pick, config: {"d": 8, "z": 2, "y": 3},
        traits=Traits(dynamic="b t", differentiable="kinked", dead=("*key*/bias",)),
    ),
    Card(
        layer=hub.SAMPromptEncoder,
        inputs={
            "images": "b z y c",
            "points": Tensor("b t p", low=0.0, high=16.0),
            "labels": Tensor("b t", "int32", -1, 2),
        },
        configs=lambda pick: dict(
            hidden_size=pick((8, 6)),
            image_embedding_size=pick(((2, 3), (3, 2))),
            input_image_size=pick(((16, 24), (24, 16))),
            mask_in_channels=pick((8, 4)),
            activation=pick(("gelu", "tanh")),
        ),
        dims=lambda pick, config: {"p": 2},
        # no box and no mask is given, and of the images nothing is read; the positions of the image come
        # as a batch of one
        traits=Traits(
            dynamic="t", dead=("images", "top_left*", "bottom_right*", "mask_downscaler/*")
        ),
    ),
    Card(
        layer=hub.SAM3DetrEncoder,
        inputs={
            "vision_features": "b z y d",
            "text_features": "b t d",
            "vision_pos_embeds": "b z y d",
            "text_masks": Tensor("b t", "bool"),
        },
        configs=detr,
        dims=lambda pick, config: {"d": 8, "z": 2, "y": 3},
        traits=Traits(
            dynamic="b t", stochastic=noisy, differentiable=bent, dead=("*/k_proj/bias",)
        ),
    ),
    Card(
        layer=hub.SAM3DetrDecoder,
        inputs={
            "vision_features": "b p d",
            "text_features": "b t d",
            "vision_pos_encodings": "b p d",
            "text_masks": Tensor("b t", "bool"),
        },
        configs=lambda pick: dict(
            **detr(pick),
            image_shape=pick(((4, 6, 3), (6, 4, 3))),
            patch_size=2,
            num_queries=pick((3, 4)),
        ),
        dims=lambda pick, config: {"d": 8, "p": 6},
        traits=Traits(
            dynamic="b t",
            stochastic=noisy,
            differentiable="kinked",
            # a `stop_gradient` follows the box head, and a model calls it once more
            dead=("*/k_proj/bias", "box_head/*", "box_rpb_embed_?/layer2/bias"),
        ),
    ),
    *([geometry(1, 4, 4)] if ALIGNS else []),
    Card(
        layer=hub.SAM3MaskDecoder,
        inputs={
            "decoder_queries": "b s d",
            "backbone_features": ["b z y d", "b x e d"],
            "encoder_hidden_states": "b p d",
            "prompt_features": "b t d",
            "prompt_masks": Tensor("b t", "bool"),
        },
        configs=lambda pick: dict(
            num_upsampling_stages=1,
            hidden_dim=8,
            num_heads=pick((2, 4)),
            dropout_rate=pick((0.0, 0.3)),
            layer_norm_epsilon=pick((1e-6, 1e-3)),
            data_format="channels_last",
        ),
        dims=lambda pick, config: {"d": 8, "z": 4, "y": 6, "x": 2, "e": 3, "p": 6},
        traits=Traits(
            dynamic="b t s",
            stochastic=noisy,
            differentiable="kinked",
            # eight channels in eight groups: the norm takes away what the bias adds to a channel
            dead=("*k_proj/bias", "backbone_features.1", "pixel_decoder/conv_layer_0/bias"),
        ),
    ),
    Card(
        layer=hub.SAM3TextEncoder,
        inputs={"token_ids": tokens("b t", 7), "padding_masks": Tensor("b t", "bool")},
        configs=lambda pick: dict(
            vocabulary_size=7,
            embedding_dim=8,
            hidden_dim=8,
            num_layers=pick((1, 2)),
            num_heads=pick((2, 4)),
            intermediate_dim=pick((6, 5)),
            intermediate_activation=pick(("gelu", "tanh")),
            max_sequence_length=pick((32, 16)),
            layer_norm_epsilon=pick((1e-5, 1e-3)),
        ),
        traits=Traits(dynamic="b t", dead=("*/key/bias",)),
    ),
    Card(
        layer=hub.SAM3VisionEncoder,
        inputs={"pixel_values": "b z y c"},
        configs=lambda pick: dict(
            image_shape=pick(((8, 8, 3), (8, 16, 3))),
            patch_size=2,
            num_layers=pick((1, 2)),
            hidden_dim=8,
            intermediate_dim=pick((6, 5)),
            num_heads=pick((2, 1)),
            fpn_hidden_dim=pick((4, 8)),
            fpn_scale_factors=pick(([2.0, 1.0], [4.0, 1.0])),
            pretrain_image_shape=pick(((8, 8, 3), (4, 4, 3))),
            hidden_activation=pick(("gelu", "tanh")),
            rope_theta=pick((10_000.0, 100.0)),
            window_size=pick((2, 4)),
            global_attn_indexes=pick(([], [1])),
            attention_dropout_rate=pick((0.0, 0.3)),
            hidden_dropout_rate=pick((0.0, 0.3)),
            layer_norm_epsilon=pick((1e-6, 1e-3)),
        ),
        dims=lambda pick, config: dict(zip("zyc", config["image_shape"], strict=True)),
        traits=Traits(stochastic=noisy),
    ),
    Card(
        layer=hub.ImageConverter,
        inputs=Tensor("b z y c", low=0.0, high=255.0),
        configs=lambda pick: dict(
            image_size=pick((None, (4, 6))),
            scale=pick((None, 0.5)),
            offset=pick((None, -1.0)),
            crop_to_aspect_ratio=(crop := pick((True, False))),
            pad_to_aspect_ratio=not crop,
            interpolation=pick(("bilinear", "nearest")),
            antialias=pick((False, True)),
            bounding_box_format=pick(("yxyx", "xywh")),
            data_format="channels_last",
        ),
        traits=Traits(),
    ),
    *(
        Card(
            layer=layer,
            inputs=Tensor("b z y c", low=0.0, high=255.0),
            configs=lambda pick: dict(
                image_size=pick(((6, 4), (4, 6))),
                crop_to_aspect_ratio=pick((False, True)),
                interpolation=pick(("bicubic", "bilinear")),
                antialias=pick((True, False)),
            ),
            dims=lambda pick, config: {"c": 3},
            traits=Traits(),
        )
        for layer in (
            hub.BLIP2ImageConverter,
            hub.Gemma3ImageConverter,
            hub.Gemma3nImageConverter,
            hub.T5Gemma2ImageConverter,
        )
    ),
    Card(
        layer=hub.VideoConverter,
        inputs=Tensor("b t z y c", low=0.0, high=255.0),
        configs=lambda pick: dict(
            image_size=pick((None, (4, 6))), scale=pick((None, 0.5)), offset=pick((None, -1.0))
        ),
        traits=Traits(),
    ),
)

DECODER_WITH_ENCODER = Card(
    layer=hub.TransformerDecoder,
    inputs={"decoder_sequence": "b t d", "encoder_sequence": "b s e"},
    configs=transformer,
    traits=Traits(
        masking={"decoder_sequence": "propagates", "encoder_sequence": "consumes"},
        dynamic="b t s",
        causal=True,
        stochastic=noisy,
        differentiable=bent,
        dead=("*/key/bias",),
    ),
)
"""`TransformerDecoder` that also gets an encoder's output, for which it has more weights."""

GEOMETRY_OF_TWO = geometry(2, 4, 4)
"""`SAM3GeometryEncoder` on two images."""

GEOMETRY_NOT_SQUARE = geometry(1, 4, 5)
"""`SAM3GeometryEncoder` on image features that are wider than high."""

VARIANTS = {
    "TransformerDecoder with an encoder": "DECODER_WITH_ENCODER",
    **(
        {
            "SAM3GeometryEncoder of two images": "GEOMETRY_OF_TWO",
            "SAM3GeometryEncoder not square": "GEOMETRY_NOT_SQUARE",
        }
        if ALIGNS
        else {}
    ),
}
"""Additional cards for layers that already have one, by their names in the report."""

FETCHING = tuple(card.name for card in CARDS if card.name.endswith("Converter"))

UNASKED = {
    **{
        name: {"L7": "the examples in the docstring fetch a preset from the network"}
        for name in FETCHING
    },
    **{
        name: {"X5": "the backends are compared, and on PyTorch it needs torchvision"}
        for name in ("SAM3GeometryEncoder", *VARIANTS)
        if name.startswith("SAM3") and not TORCHVISION
    },
}
"""For each card, the properties that are not checked, and why."""

EXCLUDED = {
    "AudioConverter": "the base class: it has no `call`",
    "MaskedLMMaskGenerator": "in a model and in `tf.data` it needs tensorflow-text",
    "MultiSegmentPacker": "in a model and in `tf.data` it needs tensorflow-text",
    "RandomDeletion": "it gives Python lists of unequal lengths",
    "RandomSwap": "it gives Python lists, or ragged tensors in `tf.data`",
    **({} if ALIGNS else {"SAM3GeometryEncoder": "on PyTorch it needs torchvision"}),
    **dict.fromkeys(
        (
            "Gemma4ImageConverter",
            "Gemma4VideoConverter",
            "Qwen3_5ImageConverter",
            "Qwen3_5VideoConverter",
        ),
        "it gives a dict of patches or frames whose number depends on the picture, in Python",
    ),
    **dict.fromkeys(
        (
            "Gemma3nAudioConverter",
            "Gemma4AudioConverter",
            "MoonshineAudioConverter",
            "WhisperAudioConverter",
        ),
        "it computes in NumPy on whole recordings, of any length, and gives features of no model",
    ),
}
"""Public layers without a card, and the reason for each."""

UNMOVED = {
    "CachedMultiHeadAttention": (
        *("attention_axes", "sliding_window", "flash_attention", "use_gate"),
        *("kernel_regularizer", "bias_regularizer", "activity_regularizer"),
        *("kernel_constraint", "bias_constraint"),
    )
}
"""For each layer, the arguments that stay at their defaults, because Keras's parent class has them."""

THIN = tuple(
    name
    for name in dir(hub)
    if name.endswith("ImageConverter") and not {"__init__", "call"} & set(vars(getattr(hub, name)))
)
"""Subclasses of `ImageConverter` that only add the name of a backbone; they share its card."""
