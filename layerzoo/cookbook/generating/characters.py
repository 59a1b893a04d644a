"""A small character model: its text, its training, and the loops that generate with and without a state."""

import signal
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from layerzoo import AlibiBias, GatedMLP, Residual, SelfAttention
from layerzoo.states import call_with_state, get_initial_state

NAME = "layerzoo_generate"
"""The name of the model, by which its files are known."""

CONTEXT, BATCH, STEPS, RATE = 128, 16, 500, 3e-3
LETTERS = 128
"""ASCII. Any other character is read as a question mark."""


def corpus() -> np.ndarray:
    """The help texts that every CPython has, in one row, as numbers below 128."""
    from pydoc_data.topics import topics

    return numbers("\n\n".join(topics[name] for name in sorted(topics)))


def numbers(text: str) -> np.ndarray:
    """Characters as numbers."""
    return np.frombuffer(text.encode("ascii", "replace"), "uint8").astype("int32")


def text_of(characters) -> str:
    """Numbers as characters."""
    return bytes(int(each) for each in characters).decode("ascii")


# --8<-- [start:model]
def character_model(width: int = 128, blocks: int = 2) -> keras.Sequential:
    """A model that reads characters, as numbers, and gives a score to each character that may follow."""
    parts = [keras.Input((None,), dtype="int32"), layers.Embedding(LETTERS, width, mask_zero=True)]
    for _ in range(blocks):
        attend = SelfAttention(4, num_key_value_heads=2, causal=True, position=AlibiBias())
        parts += [Residual(attend, norm="pre"), Residual(GatedMLP(3 * width), norm="pre")]
    return keras.Sequential([*parts, layers.LayerNormalization(), layers.Dense(LETTERS)], name=NAME)


# --8<-- [end:model]
def windows(text: np.ndarray, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Pieces of a text from random places, and the character that follows each of theirs."""
    starts = np.random.default_rng(seed).integers(0, len(text) - CONTEXT, count)
    pieces = text[starts[:, None] + np.arange(CONTEXT + 1)]
    return pieces[:, :-1], pieces[:, 1:]


def train(
    model: keras.Sequential, text: np.ndarray, steps: int, seed: int, progress: Callable
) -> bool:
    """Train a model on windows of a text; `progress` is told each step and its loss.

    A first Ctrl-C ends the training after the current step, so that the model is whole.

    Returns:
        Whether it was trained to the end.
    """
    rate = keras.optimizers.schedules.CosineDecay(
        RATE / 10, steps, warmup_target=RATE, warmup_steps=max(1, steps // 20)
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(rate, clipnorm=1.0), loss)
    with ended_by_interrupt(model) as ended:
        told = keras.callbacks.LambdaCallback(
            on_train_batch_end=lambda batch, logs: progress(batch + 1, logs["loss"])
        )
        x, y = windows(text, steps * BATCH, seed)
        model.fit(x, y, batch_size=BATCH, epochs=1, shuffle=False, verbose=0, callbacks=[told])
    return not ended


@contextmanager
def ended_by_interrupt(model: keras.Model) -> Iterator[list]:
    """Let a first Ctrl-C end the training of a model after its step, and only a second one break it off.

    Gives a list that is empty unless Ctrl-C was pressed.
    """
    pressed: list = []
    if threading.current_thread() is not threading.main_thread():  # no other gets signals
        yield pressed
        return
    before = signal.getsignal(signal.SIGINT)

    def end(number, frame):
        signal.signal(signal.SIGINT, before)
        pressed.append(number)
        model.stop_training = True

    signal.signal(signal.SIGINT, end)
    try:
        yield pressed
    finally:
        signal.signal(signal.SIGINT, before)


def loss_of(model: keras.Sequential, text: np.ndarray) -> float:
    """The mean loss at a character, in nats, over a text that is read in windows."""
    count = (len(text) - 1) // CONTEXT
    x, y = (text[i : i + count * CONTEXT].reshape(count, CONTEXT) for i in (0, 1))
    scores = model.predict(x, batch_size=64, verbose=0).astype("float64")
    scores -= scores.max(axis=-1, keepdims=True)
    logs = scores - np.log(np.exp(scores).sum(axis=-1, keepdims=True))
    return float(-np.take_along_axis(logs, y[..., None], axis=-1).mean())


def compiled(function: Callable) -> Callable:
    """A function as the backend compiles it; PyTorch runs it as it is, without a gradient."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        return tf.function(function)
    if backend == "jax":
        import jax

        return jax.jit(function)
    import torch

    return torch.no_grad()(function)


def with_state(
    model: keras.Sequential, room: int
) -> Callable[[np.ndarray], Generator[Any, int, None]]:
    """A function that starts with a prompt, and then yields the scores after each character that it is sent.

    Each step reads one character.
    """
    step = compiled(lambda ids, state: call_with_state(model, ids, state))

    def scores(prompt):
        state = get_initial_state(model, 1, room)
        found, state = step(ops.convert_to_tensor(prompt[None]), state)
        while True:
            character = yield ops.convert_to_numpy(found)[0, -1]
            ids = ops.convert_to_tensor(np.array([[character]], "int32"))
            found, state = step(ids, state)

    return scores


def without_state(
    model: keras.Sequential, room: int
) -> Callable[[np.ndarray], Generator[Any, int, None]]:
    """Like `with_state`, but each step reads the whole text so far, and padding behind it up to `room`."""
    whole = compiled(lambda ids: model(ids))

    def scores(prompt):
        ids, count = np.zeros((1, room), "int32"), len(prompt)
        ids[0, :count] = prompt
        while True:
            found = whole(ops.convert_to_tensor(ids))
            ids[0, count] = yield ops.convert_to_numpy(found)[0, count - 1]
            count += 1

    return scores


def generate(
    scores: Callable[[np.ndarray], Generator[Any, int, None]],
    prompt: np.ndarray,
    count: int,
    temperature: float,
    seed: int,
) -> Iterator[tuple[int, float]]:
    """Draw characters one after the other, and yield each with the seconds that its scores took.

    Args:
        scores: What `with_state` or `without_state` returned.
        prompt: What the text begins with.
        count: How many characters to draw.
        temperature: What the scores are divided by. 0 takes the largest.
        seed: The seed of the draws.
    """
    draws = np.random.default_rng(seed)
    following = scores(prompt)
    start = time.perf_counter()
    found = next(following)
    for index in range(count):
        seconds = time.perf_counter() - start
        noise = draws.gumbel(size=LETTERS)
        character = int(np.argmax(found + temperature * noise))
        yield character, seconds
        start = time.perf_counter()
        if index + 1 < count:
            found = following.send(character)
