"""Cards of the layers in `keras.src.layers.preprocessing.image_preprocessing`."""

from keras import layers

from hunting.families.common import BACKEND, axes
from layerzoo.catalogue import Card, Tensor, Traits

BOTH = [None, "channels_first"]
RANGE = [(0, 255), (0, 1)]
FACTORS = [0.5, (0.2, 0.4)]
FILL = ["reflect", "constant", "nearest", "wrap"]
HOW = ["bilinear", "nearest"]
SEEDS = [None, 3]
INTERPOLATIONS = ["bilinear", "nearest", "bicubic"]
if BACKEND != "torch":  # Keras says that there is no other there
    INTERPOLATIONS += ["lanczos3", "lanczos5"]


def _images(config):
    """Images with values in the range that the config says."""
    low, high = config.get("value_range", (0, 255))
    return Tensor(axes(config, "y x"), low=low, high=high)


def _labelled(config):
    return {"data": {"images": _images(config), "labels": Tensor("b e", low=0, high=1)}}


def _boxed(config):
    boxes = {"boxes": Tensor("b s e", low=0, high=4), "labels": Tensor("b s", low=0, high=3)}
    return {"data": {"images": _images(config), "bounding_boxes": boxes}}


def _card(layer, inputs=_images, sizes=None, errors=(), traits=None, **options):
    """A card of a layer whose every argument has a list of values."""
    drawn = "seed" in layer.__init__.__code__.co_varnames
    sizes = sizes or {}
    return Card(
        layer=layer,
        inputs=inputs,
        configs=lambda pick: {name: pick(values) for name, values in options.items()},
        dims=lambda pick, config: {"y": pick([6, 8]), "x": pick([7, 9]), "c": 3, **sizes},
        traits=Traits(
            **{
                "stochastic": drawn,
                "differentiable": "kinked",
                **(traits or {}),
            }
        ),
        errors=errors,
    )


CARDS = [
    _card(
        layers.AugMix,
        value_range=RANGE,
        num_chains=[3, 2],
        chain_depth=[3, 2],
        factor=[0.3, (0.1, 0.4)],
        alpha=[1.0, 0.5],
        all_ops=[True, False],
        interpolation=HOW,
        seed=SEEDS,
        data_format=BOTH,
    ),
    _card(layers.AutoContrast, value_range=RANGE),
    _card(
        layers.CenterCrop,
        height=[4, 10],
        width=[5, 12],
        data_format=BOTH,
        traits={"dynamic": "b"},
    ),
    _card(
        layers.ContrastLimitedAdaptiveHistogramEqualization,
        value_range=RANGE,
        clip_limit=[4.0, 2.0],
        tile_grid_size=[(2, 2), (3, 1)],
        data_format=BOTH,
        sizes={"y": 8, "x": 9},
        traits={"differentiable": "none"},
    ),
    _card(
        layers.CutMix,
        _labelled,
        factor=[1.0, 0.5],
        seed=SEEDS,
        data_format=BOTH,
        traits={"couples_batch": "training"},
    ),
    _card(
        layers.Equalization,
        value_range=RANGE,
        bins=[256, 64],
        data_format=BOTH,
        traits={"train_differs": True},
    ),
    _card(
        layers.MaxNumBoundingBoxes,
        _boxed,
        sizes={"e": 4},
        max_number=[2, 6],
        fill_value=[-1, 0],
        bounding_box_format=["xyxy"],
    ),
    _card(
        layers.MixUp,
        _labelled,
        alpha=[0.2, 0.5],
        data_format=BOTH,
        seed=SEEDS,
        traits={"couples_batch": "training"},
    ),
    _card(
        layers.RandAugment,
        value_range=RANGE,
        num_ops=[2, 1],
        factor=[0.5, (0.2, 0.4)],
        interpolation=HOW,
        seed=SEEDS,
        data_format=BOTH,
    ),
    _card(
        layers.RandomBrightness,
        factor=FACTORS,
        value_range=RANGE,
        seed=SEEDS,
        errors=[dict(factor=2.0), dict(factor="half")],
    ),
    _card(
        layers.RandomColorDegeneration,
        factor=FACTORS,
        value_range=RANGE,
        data_format=BOTH,
        seed=SEEDS,
        errors=[dict(factor=2.0)],
    ),
    _card(
        layers.RandomColorJitter,
        value_range=RANGE,
        brightness_factor=[0.3, (0.1, 0.2)],
        contrast_factor=[0.4, (0.1, 0.2)],
        saturation_factor=[0.5, (0.4, 0.6)],
        hue_factor=[0.2, (0.1, 0.2)],
        seed=SEEDS,
        data_format=BOTH,
    ),
    _card(
        layers.RandomContrast,
        factor=FACTORS,
        value_range=RANGE,
        seed=SEEDS,
        errors=[dict(factor=2.0)],
    ),
    _card(
        layers.RandomCrop,
        height=[4, 10],
        width=[5, 12],
        seed=SEEDS,
        data_format=BOTH,
        traits={"stochastic": lambda config: config["height"] < 6 and config["width"] < 7},
    ),
    _card(
        layers.RandomElasticTransform,
        factor=[1.0, 0.8],
        scale=[1.0, (0.5, 0.9)],
        interpolation=HOW,
        fill_mode=FILL,
        fill_value=[0.0, 7.0],
        value_range=RANGE,
        seed=SEEDS,
        data_format=BOTH,
    ),
    _card(
        layers.RandomErasing,
        factor=[1.0, 0.8],
        scale=[(0.2, 0.33), (0.3, 0.5)],
        fill_value=[None, 0.3],
        value_range=RANGE,
        seed=SEEDS,
        data_format=BOTH,
    ),
    _card(
        layers.RandomFlip,
        mode=["horizontal_and_vertical", "vertical", "horizontal"],
        seed=SEEDS,
        data_format=BOTH,
        errors=[dict(mode="diagonal")],
    ),
    _card(
        layers.RandomGaussianBlur,
        factor=[1.0, 0.8],
        kernel_size=[3, (3, 5)],
        sigma=[1.0, (0.5, 2.0)],
        value_range=RANGE,
        data_format=BOTH,
        seed=SEEDS,
    ),
    _card(
        layers.RandomGrayscale,
        factor=[0.5, 0.8],
        data_format=BOTH,
        seed=SEEDS,
        errors=[dict(factor=1.5)],
    ),
    _card(layers.RandomHue, factor=FACTORS, value_range=RANGE, data_format=BOTH, seed=SEEDS),
    _card(layers.RandomInvert, factor=[1.0, 0.5], value_range=RANGE, data_format=BOTH, seed=SEEDS),
    _card(
        layers.RandomPerspective,
        factor=[1.0, 0.8],
        scale=[1.0, 0.5],
        interpolation=HOW,
        fill_value=[0.0, 7.0],
        seed=SEEDS,
        data_format=BOTH,
    ),
    _card(
        layers.RandomPosterization,
        factor=[3, 5],
        value_range=RANGE,
        data_format=BOTH,
        seed=SEEDS,
        traits={"stochastic": False, "train_differs": True},
    ),
    _card(
        layers.RandomRotation,
        factor=FACTORS,
        fill_mode=FILL,
        interpolation=HOW,
        seed=SEEDS,
        fill_value=[0.0, 7.0],
        data_format=BOTH,
        errors=[dict(factor=0.1, fill_mode="mirror"), dict(factor=0.1, interpolation="cubic")],
    ),
    _card(layers.RandomSaturation, factor=FACTORS, value_range=RANGE, data_format=BOTH, seed=SEEDS),
    _card(layers.RandomSharpness, factor=FACTORS, value_range=RANGE, data_format=BOTH, seed=SEEDS),
    _card(
        layers.RandomShear,
        x_factor=[0.3, (0.1, 0.2)],
        y_factor=[0.2, (0.1, 0.4)],
        interpolation=HOW,
        fill_mode=FILL,
        fill_value=[0.0, 7.0],
        data_format=BOTH,
        seed=SEEDS,
    ),
    _card(
        layers.RandomTranslation,
        height_factor=[0.3, (0.1, 0.2)],
        width_factor=[0.2, (0.1, 0.4)],
        fill_mode=FILL,
        interpolation=HOW,
        seed=SEEDS,
        fill_value=[0.0, 7.0],
        data_format=BOTH,
        errors=[dict(height_factor=2.0, width_factor=0.1)],
    ),
    _card(
        layers.RandomZoom,
        height_factor=[0.3, (0.1, 0.2)],
        width_factor=[None, (0.1, 0.4)],
        fill_mode=FILL,
        interpolation=HOW,
        seed=SEEDS,
        fill_value=[0.0, 7.0],
        data_format=BOTH,
        errors=[dict(height_factor=-2.0)],
    ),
    Card(
        layer=layers.Resizing,
        inputs=_images,
        configs=lambda pick: dict(
            height=pick([4, 10]),
            width=pick([5, 12]),
            interpolation=pick(INTERPOLATIONS),
            **pick(
                [
                    {},
                    dict(crop_to_aspect_ratio=True),
                    dict(pad_to_aspect_ratio=True, fill_value=7.0),
                ]
            ),
            antialias=pick([False, True]),
            data_format=pick(BOTH),
        ),
        dims=lambda pick, config: dict(y=pick([6, 8]), x=pick([7, 9]), c=3),
        traits=Traits(differentiable="kinked"),
        errors=[dict(height=2, width=2, interpolation="cubist")],
    ),
    _card(
        layers.Solarization,
        addition_factor=[0.3, (0.1, 0.2)],
        threshold_factor=[0.2, (0.1, 0.4)],
        value_range=RANGE,
        seed=SEEDS,
    ),
]
