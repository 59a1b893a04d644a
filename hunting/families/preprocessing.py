"""Cards of the layers in `keras.src.layers.preprocessing`, without those for images."""

from keras import layers

from hunting.families.common import FORMATS
from layerzoo.catalogue import Card, Tensor, Traits

MODES = ["int", "one_hot", "multi_hot", "count"]
ENCODED = dict(differentiable="none")

CARDS = [
    Card(
        layer=layers.CategoryEncoding,
        inputs=Tensor("b t", "int32", high=5),
        configs=lambda pick: dict(
            num_tokens=pick([5, 6]), output_mode=pick(["multi_hot", "count", "one_hot"])
        ),
        traits=Traits(dynamic="b", **ENCODED),
        errors=[dict(num_tokens=0), dict(num_tokens=5, output_mode="int")],
    ),
    Card(
        layer=layers.Discretization,
        inputs="b t",
        configs=lambda pick: dict(
            bin_boundaries=pick([[-0.5, 0.2, 1.1], [0.0, 0.4]]),
            output_mode=pick(MODES),
            epsilon=pick([0.01, 0.1]),
        ),
        traits=Traits(
            dynamic=lambda config: "b t" if config["output_mode"] == "int" else "b", **ENCODED
        ),
        errors=[
            dict(bin_boundaries=None),
            dict(num_bins=-1),
            dict(num_bins=2, bin_boundaries=[0.0]),
            dict(bin_boundaries=[0.0], output_mode="half"),
        ],
    ),
    Card(
        layer=layers.HashedCrossing,
        inputs=[Tensor("b", "int32", high=9), Tensor("b", "int32", high=9)],
        configs=lambda pick: dict(num_bins=pick([5, 7]), output_mode=pick(["int", "one_hot"])),
        traits=Traits(**ENCODED),
        errors=[dict(num_bins=3, output_mode="count")],
    ),
    Card(
        layer=layers.Hashing,
        inputs=Tensor("b t", "int32", high=20),
        configs=lambda pick: dict(
            num_bins=pick([5, 7]),
            mask_value=pick([None, 3]),
            salt=pick([None, 17, [17, 19]]),
            output_mode=pick(MODES),
        ),
        traits=Traits(
            dynamic=lambda config: "b t" if config["output_mode"] == "int" else "b", **ENCODED
        ),
        errors=[dict(num_bins=0), dict(num_bins=3, output_mode="half")],
    ),
    Card(
        layer=layers.IntegerLookup,
        inputs=lambda config: Tensor(
            "b t", "int64", low=0 if config["invert"] else 1, high=3 if config["invert"] else 12
        ),
        configs=lambda pick: dict(
            vocabulary=pick([[4, 2, 9], [1, 5, 3]]),
            **pick(
                [
                    dict(output_mode="int", invert=False),
                    dict(output_mode="one_hot", invert=False, max_tokens=8, pad_to_max_tokens=True),
                    dict(output_mode="tf_idf", invert=False, idf_weights=[0.1, 0.5, 0.7]),
                    dict(output_mode="int", invert=True),
                    dict(output_mode="int", invert=False, mask_token=0),
                    dict(output_mode="count", invert=False),
                ]
            ),
            num_oov_indices=pick([1, 2]),
            oov_token=pick([-1, -2]),
            **pick([{}, dict(oov_method="farmhash", salt=[3, 5])]),
        ),
        traits=Traits(
            dynamic=lambda config: "b t" if config["output_mode"] == "int" else "b", **ENCODED
        ),
        errors=[dict(max_tokens=1), dict(num_oov_indices=-1), dict(output_mode="half")],
    ),
    Card(
        layer=layers.MelSpectrogram,
        inputs="b t",
        configs=lambda pick: dict(
            fft_length=pick([16, 32]),
            sequence_stride=pick([8, 4]),
            sequence_length=pick([None, 12]),
            window=pick(["hann", "hamming"]),
            sampling_rate=pick([16000, 8000]),
            num_mel_bins=pick([6, 5]),
            min_freq=pick([20.0, 50.0]),
            max_freq=pick([None, 3000.0]),
            power_to_db=pick([True, True, False]),
            top_db=pick([80.0, 40.0]),
            mag_exp=pick([2.0, 1.0]),
            min_power=pick([1e-10, 1e-6]),
            ref_power=pick([1.0, 2.0]),
        ),
        dims=lambda pick, config: dict(t=pick([64, 50])),
        traits=Traits(dynamic="b t", differentiable="kinked"),
    ),
    Card(
        layer=layers.STFTSpectrogram,
        inputs=lambda config: "b e t" if config["data_format"] == "channels_first" else "b t e",
        configs=lambda pick: dict(
            mode=pick(["log", "magnitude", "psd", "real", "imag", "angle", "stft"]),
            frame_length=pick([16, 8]),
            frame_step=pick([None, 4]),
            fft_length=pick([None, 32]),
            window=pick(["hann", "hamming", None]),
            periodic=pick([False, True]),
            scaling=pick(["density", "spectrum", None]),
            padding=pick(["valid", "same"]),
            expand_dims=pick([False, True]),
            data_format=pick(FORMATS),
        ),
        dims=lambda pick, config: dict(t=pick([40, 50]), e=pick([1, 2])),
        traits=Traits(dynamic="b", differentiable="kinked"),
        errors=[
            dict(mode="power"),
            dict(frame_length=0),
            dict(frame_step=0),
            dict(frame_length=16, fft_length=8),
            dict(padding="full"),
        ],
    ),
    Card(
        layer=layers.Normalization,
        inputs="b t d",
        configs=lambda pick: dict(
            **pick(
                [
                    dict(mean=0.5, variance=2.0),
                    dict(),
                    dict(axis=None, mean=0.5, variance=3.0),
                    dict(axis=(1, 2), mean=[0.1, 0.2, 0.3, 0.4], variance=[1.0, 2.0, 3.0, 4.0]),
                ]
            ),
            invert=pick([False, True]),
        ),
        dims=lambda pick, config: dict(d=4),
        traits=Traits(dynamic=lambda config: "b t" if 1 not in (config.get("axis") or ()) else "b"),
        errors=[dict(mean=1.0), dict(mean=[1.0, 2.0], variance=1.0)],
    ),
    Card(
        layer=layers.Rescaling,
        inputs="b t d",
        configs=lambda pick: dict(scale=pick([0.5, [0.5, 2.0, 1.0]]), offset=pick([0.0, -1.0])),
        dims=lambda pick, config: dict(d=3),
        traits=Traits(
            dynamic="b t",
            reference=lambda layer, inputs: (
                next(iter(inputs.values())) * layer.scale + layer.offset
            ),
        ),
    ),
    Card(
        layer=layers.Pipeline,
        inputs=Tensor("b y x c", low=0, high=255),
        configs=lambda pick: dict(
            layers=[
                layers.Rescaling(1 / 255),
                *([layers.CenterCrop(3, 2)] if pick([False, True]) else []),
            ]
        ),
        dims=lambda pick, config: dict(y=5, x=6),
        traits=Traits(dynamic="b"),
    ),
]
