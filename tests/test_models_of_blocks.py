"""Models of many blocks: half of them frozen, quantised, adapted, exported, and loaded by another process."""

import json
import subprocess
import sys

import keras
import numpy as np
import pytest
from arrays import random
from keras import layers, ops

from layerzoo import (
    BottleneckBlock,
    ConvNeXtBlock,
    DropPath,
    GatedMLP,
    HyperConnections,
    InvertedResidual,
    LayerScale,
    Residual,
    ResNetBlock,
    ReZero,
    RotaryEmbedding,
    SelfAttention,
    TemporalBlock,
    TransformerDecoderBlock,
    TransformerEncoderBlock,
    WaveNetBlock,
)
from layerzoo.tensors import compat

NORMED = lambda: [layers.Dense(8), layers.BatchNormalization()]  # noqa: E731

SEQUENCES = {
    "encoder": lambda: TransformerEncoderBlock(2, 8, norm_first=True, activation="gelu"),
    "encoder of parts": lambda: TransformerEncoderBlock(
        attention=SelfAttention(2, position=RotaryEmbedding()), mlp=GatedMLP(4)
    ),
    "decoder": lambda: TransformerDecoderBlock(2, 8),
    "temporal": lambda: TemporalBlock(8, 2, 2, activation="gelu"),
    "WaveNet": lambda: WaveNetBlock(6, 2, 1),
    "Residual": lambda: Residual(NORMED(), norm="sandwich", scale=0.5),
    "ReZero": lambda: ReZero(NORMED(), init_value=0.5),
    "hyper-connections": lambda: HyperConnections(NORMED(), 2, enter=True, leave=True),
    "LayerScale": lambda: LayerScale(0.5),
}
IMAGES = {
    "basic": lambda: ResNetBlock(8, preactivation=True, groups=2, activation="silu"),
    "bottleneck": lambda: BottleneckBlock(8, groups=2, squeeze_ratio=2, activation="gelu"),
    "inverted": lambda: InvertedResidual(8, squeeze_ratio=4, activation="silu"),
    "ConvNeXt": lambda: ConvNeXtBlock(3, global_response_norm=True, layer_scale=0.5),
}
SHAPES = dict.fromkeys(SEQUENCES, (5, 8)) | dict.fromkeys(IMAGES, (4, 5, 8))
BLOCKS = {**SEQUENCES, **IMAGES}


def step(model, x):
    """A step of training whose gradients are not zero."""
    model.compile(keras.optimizers.Adam(0.01), "mse", run_eagerly=True, jit_compile=False)
    model.train_on_batch(x, random(*model.compute_output_shape(x.shape), seed=7))


def moved(layer, before):
    """Which of its weights differ, statistics among them."""
    return [not np.array_equal(*pair) for pair in zip(layer.get_weights(), before, strict=True)]


@pytest.mark.parametrize("name", BLOCKS)
def test_training_moves_the_half_that_is_free_and_nothing_of_the_other(name, tmp_path):
    shape, make = SHAPES[name], BLOCKS[name]
    made, late, free = make(), make(), make()
    made = made.from_config({**made.get_config(), "trainable": False})
    model = keras.Sequential([keras.Input(shape), made, free, late])
    late.trainable = False
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    loaded.layers[0].trainable = True  # thawed
    x = random(4, *shape)
    for each, frozen in ((model, [True, False, True]), (loaded, [False, False, True])):
        before = [block.get_weights() for block in each.layers]
        step(each, x)
        for block, weights, stays in zip(each.layers, before, frozen, strict=True):
            found = moved(block, weights)
            assert not any(found) if stays else sum(found) > 0.7 * len(found)
            assert len(block.trainable_variables) == (0 if stays else len(free.trainable_variables))
        at_rest, training = each(x), each(x, training=True)
        batch = "moving_mean" in str([weight.path for weight in free.weights])
        same = np.array_equal(*map(ops.convert_to_numpy, (at_rest, training)))
        assert same != batch  # only a norm of the free block takes the statistics of the batch
        statistics = [block.get_weights() for block in each.layers]
        each(x, training=False)
        assert not any(any(moved(*pair)) for pair in zip(each.layers, statistics, strict=True))


def adapted(model):
    for part in model._flatten_layers():
        if hasattr(part, "enable_lora"):
            part.enable_lora(2, lora_alpha=3.0)


def of_twelve(kind):
    blocks = [kind(2, 12, norm_first=i % 2 == 0) for i in range(12)]
    return keras.Sequential([keras.Input((None, 8)), *blocks])


def translator():
    target, source = keras.Input((None, 8)), keras.Input((None, 6))
    x, y = target, layers.Dense(8)(source)
    for _ in range(5):
        y = TransformerEncoderBlock(2, 12)(y)
    for _ in range(5):
        x = TransformerDecoderBlock(2, 12)(x, context=y)
    return keras.Model([target, source], layers.Dense(3)(x))


def of_sequences():
    first = HyperConnections(SelfAttention(2), 2, enter=True)
    last = HyperConnections(GatedMLP(4, activation="gelu"), 2, leave=True)
    made = [SEQUENCES[name]() for name in list(SEQUENCES)[:7]]
    return keras.Sequential([keras.Input((None, 8)), first, last, *made, DropPath(0.001)])


def of_images(strides=2, data_format="channels_last"):
    images = dict(data_format=data_format)
    shape = (None, None, 3) if data_format == "channels_last" else (3, None, None)
    x = inputs = keras.Input(shape)
    for block in (
        ResNetBlock(8, strides=strides, **images),
        ResNetBlock(8, preactivation=True, groups=2, **images),
        ResNetBlock(8, kernel_size=1, activation="gelu", **images),
        BottleneckBlock(16, strides=strides, groups=2, squeeze_ratio=2, **images),
        BottleneckBlock(16, **images),
        InvertedResidual(16, squeeze_ratio=4, activation="silu", **images),
        InvertedResidual(8, kernel_size=5, strides=strides, **images),
        ConvNeXtBlock(3, layer_scale=0.5, **images),
        ConvNeXtBlock(5, global_response_norm=True, layer_scale=None, **images),
        ConvNeXtBlock(activation="silu", layer_scale=0.1, **images),
    ):
        x = block(x)
    return keras.Model(inputs, layers.GlobalAveragePooling2D(**images)(x))


STACKS = {
    "12 encoders, adapted": lambda: changed(of_twelve(TransformerEncoderBlock), adapted),
    "12 decoders, quantised": lambda: changed(of_twelve(TransformerDecoderBlock), quantized),
    "5 encoders, 5 decoders, both": lambda: changed(translator(), quantized, adapted),
    "10 of sequences": of_sequences,
    "10 of images": of_images,
    "10 of images, channels first": lambda: of_images(data_format="channels_first"),
}


def quantized(model):
    model.quantize("int8")


def changed(model, *how):
    with compat.little_garbage():
        for each in how:
            each(model)
    return model


def given(model, seed, sizes):
    """Inputs with these sizes where a model leaves them free, the batch first."""
    inputs = []
    for place, symbol in enumerate(model.inputs):
        free = iter(sizes)
        shape = [next(free) if size is None else size for size in symbol.shape]
        inputs.append(random(*shape, seed=[seed, place]))
    return inputs if len(inputs) > 1 else inputs[0]


ELSEWHERE = """
import json, sys
import keras
import numpy as np
import layerzoo

found = {}
for path in sys.argv[1:]:
    model = keras.saving.load_model(path + ".keras")
    kept = np.load(path + ".npz")
    inputs = [kept[name] for name in sorted(kept.files) if name.startswith("x")]
    feed = inputs if len(inputs) > 1 else inputs[0]
    outputs = keras.ops.convert_to_numpy(model(feed))
    free = {v.path for v in model.trainable_variables}
    # copies, because JAX trains in the memory of the old values
    before = {v.path: np.array(keras.ops.convert_to_numpy(v)) for v in model.weights}
    values = [
        np.array_equal(kept[f"w{i}"], keras.ops.convert_to_numpy(v))
        for i, v in enumerate(model.weights)
        if "lora" not in v.name  # Keras saves what they do as part of the kernel
    ]
    model.compile(keras.optimizers.Adam(0.01), "mse", run_eagerly=True)
    model.train_on_batch(feed, np.ones_like(outputs))
    after = {v.path: keras.ops.convert_to_numpy(v) for v in model.weights}
    moved = {p for p in before if not np.array_equal(before[p], after[p]) and "moving_" not in p}
    found[path] = dict(
        difference=float(abs(outputs - kept["y"]).max() / abs(kept["y"]).max()),
        same=bool(values) and all(values),
        weights=[[v.name, str(v.dtype), list(v.shape), bool(v.trainable)] for v in model.weights],
        moved_though_frozen=sorted(moved - free),
        moved=len(moved) / len(free),
    )
print("FOUND " + json.dumps(found))
"""


@pytest.mark.proof  # a process
@pytest.mark.filterwarnings("ignore:Layer .* does not have a `quantize` method:UserWarning")
def test_another_process_loads_the_same_model_and_trains_what_it_should(tmp_path):
    due = {}
    for number, (name, make) in enumerate(STACKS.items()):
        keras.utils.set_random_seed(number)
        model, path = make(), str(tmp_path / f"model_{number}")
        for layer in model.layers[: len(model.layers) // 2]:
            if "adapted" not in name:
                layer.trainable = False
        feed = given(model, number, (2, 5, 4))
        model.save(path + ".keras")
        each = feed if isinstance(feed, list) else [feed]
        outputs = ops.convert_to_numpy(model(feed))
        kept = {f"x{i}": x for i, x in enumerate(each)}
        kept |= {f"w{i}": ops.convert_to_numpy(v) for i, v in enumerate(model.weights)}
        np.savez(path + ".npz", y=outputs, **kept)
        due[path] = [
            [v.name, str(v.dtype), list(v.shape), bool(v.trainable)] for v in model.weights
        ]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", ELSEWHERE, *due],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.rpartition("FOUND ")[2])
    for (path, weights), name in zip(due.items(), STACKS, strict=True):
        assert found[path]["weights"] == weights, name
        # Keras adds an adapter to a quantised kernel when it saves, and quantises the sum anew
        assert found[path]["same"] or "both" in name, name
        step = 1 / 127 if "both" in name else 1e-5
        assert found[path]["difference"] <= step, name
        assert found[path]["moved_though_frozen"] == [], name
        assert found[path]["moved"] > 0.6, name


FORMS = {
    "tensorflow": {"tf_saved_model": [], "onnx": ["tf2onnx", "onnxruntime"]},
    "jax": {},
    "torch": {"onnx": ["onnx", "onnxscript", "onnxruntime"]},
}[keras.backend.backend()]
"""What each backend exports, and the packages that it takes. JAX needs to be told which sizes are equal."""


def run_of(path, form, model):
    """A function that runs a file on a list of inputs."""
    if form == "onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        names = [x.name for x in model.inputs]
        return lambda inputs: session.run(None, dict(zip(names, inputs, strict=True)))[0]
    import tensorflow as tf

    loaded = tf.saved_model.load(path)  # which has to live as long as it serves
    return lambda inputs: loaded.serve([tf.constant(x) for x in inputs]).numpy()


@pytest.mark.proof  # it takes seconds to trace ten blocks
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("make", [translator, of_sequences, of_images])
def test_a_file_of_ten_blocks_is_right_at_every_size(make, form, tmp_path):
    for package in FORMS[form]:
        pytest.importorskip(package, reason="the export needs it")
    model = make()
    path = str(tmp_path / ("model.onnx" if form == "onnx" else "model"))
    signature = [[keras.InputSpec(x.dtype, x.shape, name=x.name) for x in model.inputs]]
    model.export(path, format=form, input_signature=signature, verbose=False)
    run = run_of(path, form, model)
    for sizes in ((2, 5, 4), (1, 1, 1), (3, 33, 12), (1, 9, 10)):
        inputs = given(model, 0, sizes)
        due = ops.convert_to_numpy(model(inputs))
        found = run(inputs if isinstance(inputs, list) else [inputs])
        assert found.shape == due.shape
        np.testing.assert_allclose(found, due, atol=1e-4 * max(1, abs(due).max()))
