"""What a step costs in time and memory: by the length of the text, by the layer, and beside KerasHub."""

import time
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from layerzoo import LinearAttention, MultiHeadLatentAttention, SelfAttention
from layerzoo.building.states import empty
from layerzoo.cookbook.bench import missing
from layerzoo.cookbook.generating.characters import compiled
from layerzoo.states import call_with_state, get_initial_state

LENGTHS = (64, 128, 256, 512, 1024, 2048)
WIDTH, HEADS, PLACE = 512, 8, 4096
"""The layers that are measured, and the place of the step."""

STATES: dict[str, Callable[[], Any]] = {
    "SelfAttention": lambda: SelfAttention(HEADS, causal=True),
    "SelfAttention, 2 key/value heads": lambda: SelfAttention(HEADS, 2, causal=True),
    "SelfAttention, window of 256": lambda: SelfAttention(HEADS, causal=True, window=256),
    "MultiHeadLatentAttention, latent of 128": lambda: MultiHeadLatentAttention(
        HEADS, 128, rope_dim=32, causal=True
    ),
    "LinearAttention": lambda: LinearAttention(HEADS, causal=True),
}
"""The layers whose states are compared."""

WAYS = {
    "tensorflow": ("tf.function", "XLA", "XLA, state in variables"),
    "jax": ("jit", "jit, state donated"),
    "torch": ("eager",),
}
"""How a step is run on each backend."""


def seconds(run: Callable) -> float:
    """How long a call takes, until its results are there."""
    start = time.perf_counter()
    finished(run())
    return time.perf_counter() - start


def finished(results):
    """Wait for results, which JAX computes behind the scenes."""
    if keras.backend.backend() == "jax":
        import jax

        jax.block_until_ready(results)
    return results


def fastest_ms(runs: Sequence[Callable], rounds: int, warm: int = 2) -> list[float]:
    """The shortest time of each call in ms: other work on the machine can only slow it down.

    They take turns, and the first `warm` rounds do not count.
    """
    times = [[seconds(run) for run in runs] for _ in range(rounds + warm)][warm:]
    return [1e3 * min(each) for each in zip(*times, strict=True)]


def by_length(
    model: keras.Sequential, progress: Callable[[str], None], rounds: int = 15
) -> list[dict]:
    """The time of one more character after a text of each length, with a state and without."""
    step = compiled(lambda ids, state: call_with_state(model, ids, state))
    whole = compiled(lambda ids: model(ids))
    rows = []
    for length in LENGTHS:
        progress(f"a character after {length - 1} others")
        ids = ops.ones((1, length), "int32")
        state = get_initial_state(model, 1, max(LENGTHS))
        state = keras.tree.map_structure(lambda x, n=length: _placed(x, n - 1), state)
        runs = [lambda: step(ids[:, :1], state), lambda: whole(ids)]  # noqa: B023
        with_state, without = fastest_ms(runs, rounds)
        rows.append({"length": length, "with_ms": with_state, "without_ms": without})
    return rows


def _placed(tensor, place):
    """A tensor of a state, or the given place if it is what counts the steps."""
    whole = keras.backend.standardize_dtype(tensor.dtype) == "int32"
    return ops.zeros_like(tensor) + place if whole else tensor


def memory() -> list[dict]:
    """The bytes of the state of one sample, for each of `STATES`, with room for `PLACE` steps."""
    rows = []
    for name, make in STATES.items():
        layer = make()
        layer.build((None, None, WIDTH))
        sizes = [
            np.prod(shape) * np.dtype(dtype).itemsize
            for length in (1, PLACE)
            for shape, dtype in layer.state_tensors(1, length).values()
        ]
        half = len(sizes) // 2
        few, many = int(sum(sizes[:half])), int(sum(sizes[half:]))
        rows.append({"layer": name, "bytes": many, "step_bytes": (many - few) // (PLACE - 1)})
    return rows


def beside_keras_hub(
    progress: Callable[[str], None],
    batches: Sequence[int] = (1, 16),
    place: int = PLACE,
    rounds: int = 9,
) -> list[dict]:
    """A step of `SelfAttention` at a place, beside KerasHub's, the whole pass, and a copy of the state."""
    rows = []
    for batch in batches:
        layer = SelfAttention(HEADS, causal=True)
        layer.build((None, None, WIDTH))
        draws = np.random.default_rng(0)
        x = _drawn(draws, (batch, 1, WIDTH))
        state = {
            name: _drawn(draws, shape) if dtype == "float32" else ops.full(shape, place - 1, dtype)
            for name, (shape, dtype) in layer.state_tensors(batch, place).items()
        }
        peer = None if missing("keras_hub") else _peer(layer, state, place)
        steps = _drawn(draws, (batch, place, WIDTH))
        progress(f"the whole pass, batch {batch}")
        start = empty(layer.state_tensors(batch, place))
        whole = compiled(lambda x: layer(x))  # noqa: B023
        prompt = compiled(lambda x, s: layer(x, initial_state=s, return_state=True))  # noqa: B023
        runs = [lambda: whole(steps), lambda: prompt(steps, start)]  # noqa: B023
        few = runs if batch == 1 else runs[:1]
        whole_ms, *prompt_ms = fastest_ms(few, rounds=2 if batch == 1 else 1, warm=1)
        for way in WAYS[keras.backend.backend()]:
            progress(f"a step, batch {batch}, {way}")
            row = _row(layer, x, state, peer, way, rounds)
            prompt_time = prompt_ms[0] if prompt_ms else None
            rows.append({"batch": batch, **row, "whole_ms": whole_ms, "prompt_ms": prompt_time})
    return rows


def _row(layer, x, state, peer, way, rounds) -> dict:
    """The time of a step in one way, beside the peer's and a copy of as many bytes as it must read."""
    traces: list = []

    def step(x, state):
        traces.append(way)
        y, new = layer(x, initial_state=state, return_state=True)
        return y, new | dict(place=state["place"])  # so that each run is at the same place

    ours = _runner(step, x, state, way)
    found = ops.convert_to_numpy(finished(ours())[0])
    state_bytes, weight_bytes = (
        sum(4 * int(np.prod(each.shape)) for each in some)
        for some in ((state["key"], state["value"]), layer.weights)
    )
    plain = ops.zeros((state_bytes // 4,), "float32") + 1.0
    copy = _copier(plain)
    runs, difference = [ours, copy, lambda: ops.sum(plain)], None
    if peer:
        theirs = _runner(peer[0], x, peer[1], way)
        difference = float(np.abs(ops.convert_to_numpy(finished(theirs())[0]) - found).max())
        runs.append(theirs)
    ms, copy_ms, read_ms, *peer_ms = fastest_ms(runs, rounds)
    bound_ms = copy_ms * (state_bytes + weight_bytes) / state_bytes
    compiles = way != "eager"
    return {
        "way": way,
        "ms": ms,
        "hub_ms": peer_ms[0] if peer else None,
        "difference": difference,
        "state_bytes": state_bytes,
        "weight_bytes": weight_bytes,
        "copy_gb_per_s": state_bytes / copy_ms / 1e6,
        "read_gb_per_s": state_bytes / read_ms / 1e6,
        "bound_ms": bound_ms,
        "traces": len(traces) if compiles else None,
    }


def _runner(step, x, state, way):
    """A call of a step in one of `WAYS` that leaves its inputs as they were, or puts the new state there."""
    if way in ("tf.function", "XLA"):
        import tensorflow as tf

        run = tf.function(step, jit_compile=way == "XLA")
        return lambda: run(x, state)
    if way == "XLA, state in variables":
        import tensorflow as tf

        kept = keras.tree.map_structure(tf.Variable, state)

        @tf.function(jit_compile=True)
        def run_and_keep(x):
            y, new = step(x, keras.tree.map_structure(tf.convert_to_tensor, kept))
            keras.tree.map_structure(lambda variable, value: variable.assign(value), kept, new)
            return y

        return lambda: (run_and_keep(x),)
    if way == "jit":
        import jax

        run = jax.jit(step)
        return lambda: run(x, state)
    if way == "jit, state donated":
        import jax

        run = jax.jit(step, donate_argnums=1)
        held = [keras.tree.map_structure(ops.copy, state)]

        def in_turn():
            y, held[0] = run(x, held[0])
            return y, held[0]

        return in_turn
    run = compiled(step)
    return lambda: run(x, state)


def _copier(plain):
    """A call that copies a tensor to new memory, as a step does that may not change its state."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        return lambda: tf.raw_ops.DeepCopy(x=plain)
    if backend == "jax":
        import jax.numpy as jnp

        return lambda: jnp.copy(plain)
    return plain.clone


def _peer(layer, state, place):
    """KerasHub's layer with the same weights and the same earlier steps: its step and cache."""
    from keras_hub.layers import CachedMultiHeadAttention

    n, _, h = layer.heads
    peer = CachedMultiHeadAttention(n, h)
    peer.build((None, None, WIDTH), (None, None, WIDTH))
    kernel, bias = (ops.convert_to_numpy(w) for w in layer.project_in.weights)
    kernel, bias = kernel.reshape(WIDTH, n, 3, h), bias.reshape(n, 3, h)
    for index, part in enumerate(("query", "key", "value")):
        getattr(peer, f"_{part}_dense").set_weights([kernel[:, :, index], bias[:, index]])
    kernel, bias = (ops.convert_to_numpy(w) for w in layer.project_out.weights)
    peer._output_dense.set_weights([kernel.reshape(n, h, WIDTH), bias])
    kept = [ops.transpose(state[name][:, :, :place], (0, 2, 1, 3)) for name in ("key", "value")]
    cache = {"cache": ops.stack(kept, axis=1), "index": ops.full((), place - 1, "int32")}

    def step(x, state):
        b, place = state["cache"].shape[0], state["cache"].shape[2]
        mask = ops.reshape(ops.arange(place) <= state["index"], (1, 1, place))
        y, cache = peer(
            x,
            x,
            attention_mask=ops.broadcast_to(mask, (b, 1, place)),
            cache=state["cache"],
            cache_update_index=state["index"],
        )
        return y, {"cache": cache, "index": state["index"]}

    return step, cache


def _drawn(draws, shape):
    return ops.convert_to_tensor(draws.standard_normal(shape, dtype="float32"))
