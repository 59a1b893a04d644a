"""A program for JAX with eight devices: what sharded layers compute, and what they send to each other.

Run as `python eight_devices.py PAGE`. It also runs the first block of the page, and prints JSON.
"""

import json
import os
import re
import sys
from collections import Counter
from pathlib import Path

os.environ["KERAS_BACKEND"] = "jax"
os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=8"

import jax
import keras
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec
from keras import layers

import layerzoo
from layerzoo.distribution import layout_map

jax.config.update("jax_disable_most_optimizations", True)  # each program runs a few times at most

COLLECTIVE = r"\s(all-reduce|all-gather|all-to-all|collective-permute|reduce-scatter)(?:-start)?\("
DEVICES = keras.distribution.list_devices()


def parallel(batch, model):
    """Model parallelism on the first devices, as `layout_map` says."""
    mesh = keras.distribution.DeviceMesh(
        (batch, model), ["batch", "model"], DEVICES[: batch * model]
    )
    return keras.distribution.ModelParallel(layout_map=layout_map(mesh), batch_dim_name="batch")


def losses(distribution):
    """The losses of ten steps of a small Transformer."""
    keras.utils.set_random_seed(0)
    with distribution.scope():
        x = keras.Input((16, 32))
        attention = layerzoo.SelfAttention(8, 4, causal=True, position=layerzoo.RotaryEmbedding())
        y = layerzoo.Residual(attention, norm="pre")(x)
        y = layerzoo.Residual(layerzoo.GatedMLP(64), norm="pre")(y)
        model = keras.Model(x, layers.Dense(4, "sigmoid")(y))
        model.compile(keras.optimizers.SGD(0.5), "mse")
        rng = np.random.default_rng(0)
        data = rng.normal(size=(8, 16, 32)), rng.random((8, 16, 4))
        done = model.fit(*data, batch_size=8, epochs=10, shuffle=False, verbose=0)
        return done.history["loss"]


def collectives(layer, *shapes, gradient=False):
    """How often the compiled layer moves data between four devices."""
    with parallel(1, 4).scope():
        mesh = keras.distribution.distribution().device_mesh.backend_mesh
        if not layer.built:
            layer.build(*shapes)
        weights = [v.value for v in layer.trainable_variables]
        rest = [v.value for v in layer.non_trainable_variables]
        everywhere = NamedSharding(mesh, PartitionSpec())
        inputs = [jax.device_put(np.ones(shape, "float32"), everywhere) for shape in shapes]

        def forward(weights, *inputs):
            return layer.stateless_call(weights, rest, *inputs)[0]

        def backward(weights, *inputs):
            return jax.grad(lambda *args: (forward(*args) ** 2).sum(), (0, 1))(weights, *inputs)

        program = jax.jit(backward) if gradient else jax.jit(forward, out_shardings=everywhere)
        text = program.lower(weights, *inputs).compile().as_text()
    return Counter(re.findall(COLLECTIVE, text))


TIME, IMAGE = (2, 8, 32), (1, 8, 8, 32)
LAYERS = {
    "SelfAttention": (layerzoo.SelfAttention(8, 4, causal=True, qk_norm=True), TIME),
    "LinearAttention": (layerzoo.LinearAttention(4), TIME),
    "DifferentialAttention": (layerzoo.DifferentialAttention(4), TIME),
    "MultiHeadLatentAttention": (layerzoo.MultiHeadLatentAttention(4, 16), TIME),
    "WindowAttention": (layerzoo.WindowAttention(4, 4, shift=2), IMAGE),
    "CrossAttention": (layerzoo.CrossAttention(4), TIME, (2, 5, 16)),
    "AttentionPooling": (layerzoo.AttentionPooling(4), TIME),
    "GatedAttentionPooling": (layerzoo.GatedAttentionPooling(16), TIME),
    "PerceiverResampler": (layerzoo.PerceiverResampler(3, 4, depth=1), TIME),
    "GatedMLP": (layerzoo.GatedMLP(64), TIME),
}
BOTH = ("SelfAttention", "GatedMLP")

if __name__ == "__main__":
    page = Path(sys.argv[1]).read_text(encoding="utf-8")
    exec(re.search(r"```python\n(.*?)```", page, re.DOTALL)[1], {"__name__": "page"})
    one = keras.distribution.DataParallel(devices=DEVICES[:1])
    found = {
        "losses": [losses(one), losses(parallel(2, 4))],
        "forward": {name: collectives(*case) for name, case in LAYERS.items()},
        "backward": {name: collectives(*LAYERS[name], gradient=True) for name in BOTH},
    }
    print(json.dumps(found))
