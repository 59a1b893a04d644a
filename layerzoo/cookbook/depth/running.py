"""Stack blocks, look at the gradient, train for a few steps, and say what came of it."""

import math
import time
from collections.abc import Callable, Iterator

import keras
import numpy as np
from keras import layers, ops
from rich.table import Table

from layerzoo import foreign
from layerzoo.building.arguments import positive_int
from layerzoo.cookbook.depth.declared import CLAIMS, INPUTS, Block, Depth
from layerzoo.cookbook.evidence.running import about, number
from layerzoo.cookbook.evidence.tasks import digits
from layerzoo.tensors.autodiff import gradient

WIDTH = 32
"""The number of features or channels that a block reads."""

WHEN = {"start": "at the start", "end": "after the training"}
POLICIES = ("float32", "mixed_bfloat16")
BATCH, RATE, SEED, DIGITS = 32, 1e-3, 0, 5
LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def measure(
    name: str,
    depth: Depth,
    blocks: int = 64,
    steps: int = 20,
    progress: Callable[[str], None] = lambda text: None,
) -> dict:
    """Stack the blocks of a layer, and return what was found as plain data.

    Args:
        name: The layer's name.
        depth: How its blocks are stacked.
        blocks: How many blocks a stack has.
        steps: How many steps it is trained.
        progress: Is told what begins.

    Raises:
        ValueError: `blocks` or `steps` is not positive.
        ImportError: scikit-learn is not installed.
    """
    positive_int(blocks=blocks)
    positive_int(steps=steps)
    start = time.process_time()
    images, _, labels, _ = digits(SEED)
    rows = []
    for stack, block in depth.stacks.items():
        for policy in POLICIES:
            told = f"{name}, {stack}, {policy}"
            progress(told)
            with foreign.undisturbed():
                keras.config.set_dtype_policy(policy)
                keras.utils.set_random_seed(SEED)
                model = stack_of(block, depth.inputs, blocks)
            start_norms = gradient_norms(model, images[:BATCH], labels[:BATCH])
            losses = []
            for loss in train(model, images, labels, steps):
                losses.append(loss)
                progress(f"{told}: step {len(losses)} of {steps}")
            end_norms = gradient_norms(model, images[:BATCH], labels[:BATCH])
            finite = np.isfinite([*start_norms, *losses, *end_norms]).all() and all(
                np.isfinite(ops.convert_to_numpy(weight)).all() for weight in model.weights
            )
            rows.append(
                {
                    "stack": stack,
                    "policy": policy,
                    "finite": bool(finite),
                    "gradient": {"start": _rounded(start_norms), "end": _rounded(end_norms)},
                    "loss": _rounded(losses),
                }
            )
    size = "" if (blocks, steps) == (64, 20) else f" --blocks {blocks} --steps {steps}"
    return {
        "says": depth.says,
        "source": depth.source,
        "task": (
            f"Handwritten digits of scikit-learn: {INPUTS[depth.inputs]}. {blocks} blocks, and a dense layer "
            f"that answers. {steps} steps of Adam at {RATE:g} on {BATCH} digits, without a warm-up."
        ),
        "limits": depth.limits,
        "inputs": depth.inputs,
        "blocks": blocks,
        "steps": steps,
        "claims": dict(depth.claims),
        "rows": rows,
        **about(f"layerzoo depth {name}{size}", start),
    }


class Shift(layers.Layer):
    """Adds zeros, whose gradient is that of the output of the layer before."""

    def build(self, input_shape):
        """Make them, one for each number of the batch."""
        self.shift = self.add_weight(input_shape, "zeros", trainable=False)

    def call(self, inputs):
        """Add them."""
        return inputs + self.shift


def stack_of(block: Block, inputs: str, blocks: int) -> keras.Sequential:
    """A model of the digits with a stack of blocks, and a `Shift` after each of them.

    Args:
        block: Makes one of them.
        inputs: What they read, as `Depth` says.
        blocks: How many there are.
    """
    start, end = {
        "features": ([layers.Flatten(), layers.Dense(WIDTH)], []),
        "rows": (
            [layers.Reshape((8, 8)), layers.Dense(WIDTH)],
            [layers.LayerNormalization(), layers.Flatten()],
        ),
        "image": (
            [layers.Conv2D(WIDTH, 3, padding="same", data_format="channels_last")],
            [layers.GlobalAveragePooling2D(data_format="channels_last")],
        ),
    }[inputs]
    stacked = [part for place in range(blocks) for part in (block(place, blocks), Shift())]
    scores = layers.Dense(10, dtype="float32")
    first = keras.Input(batch_shape=(BATCH, 8, 8, 1))
    return keras.Sequential([first, *start, *stacked, *end, scores])


def gradient_norms(model: keras.Sequential, images, labels) -> list[float]:
    """The norm of the gradient of the loss by the output of each block, in training.

    Args:
        model: What `stack_of` made.
        images: What it is called with.
        labels: What it should answer.
    """
    shifts = [layer.shift for layer in model.layers if isinstance(layer, Shift)]
    images, labels = ops.convert_to_tensor(images), ops.convert_to_tensor(labels)

    def loss(values):
        with keras.StatelessScope(
            list(zip(shifts, values, strict=True))
        ):  # the model stays as it is
            return LOSS(labels, model(images, training=True))

    found = gradient(loss)([ops.zeros(each.shape, each.dtype) for each in shifts])
    return [float(np.linalg.norm(each.astype("float64"))) for each in found]


def train(model: keras.Sequential, images, labels, steps: int) -> Iterator[float]:
    """Train a model, and yield the loss of each step."""
    model.compile(keras.optimizers.Adam(RATE), LOSS)
    for step in range(steps):
        places = np.arange(step * BATCH, (step + 1) * BATCH) % len(labels)
        model.reset_metrics()  # which would otherwise give the mean of all steps
        yield float(model.train_on_batch(images[places], labels[places]))


def ratio(row: dict, when: str) -> float | None:
    """The norm of the gradient at the first block, divided by that at the last; None if there is none.

    Args:
        row: A row of what `measure` returned.
        when: `"start"` of the training or its `"end"`.
    """
    first, last = row["gradient"][when][0], row["gradient"][when][-1]
    return first / last if None not in (first, last) and last else None


def against(found: dict, stack: str) -> list[str] | None:
    """When the gradient of a stack is not what the paper says of it; None if the paper says nothing.

    If the policies differ in that, they are named.
    """
    if stack not in found["claims"]:
        return None
    least, most = CLAIMS[found["claims"][stack]]
    rows = [row for row in found["rows"] if row["stack"] == stack]
    told = []
    for when, words in WHEN.items():
        values = {row["policy"]: ratio(row, when) for row in rows}
        wrong = [
            policy
            for policy, value in values.items()
            if value is None or not least <= value <= most
        ]
        if wrong:
            told.append(words if len(wrong) == len(rows) else f"{words} in {' and '.join(wrong)}")
    return told


def table(found: dict) -> Table:
    """What was found, as a table."""
    heads = ("stack", "policy", *WHEN.values(), "it should", "loss", "finite")
    title = "norm of the gradient at the first block, divided by that at the last"
    made = Table(*heads, title=title, box=None)
    for row in found["rows"]:
        made.add_row(
            row["stack"],
            row["policy"],
            *(number(ratio(row, when)) for when in WHEN),
            verdict(found, row["stack"]),
            f"{number(row['loss'][0])} to {number(row['loss'][-1])}",
            "yes" if row["finite"] else "no",
        )
    return made


def verdict(found: dict, stack: str) -> str:
    """What the paper says of the gradient of a stack, and whether it is so; empty if it says nothing."""
    wrong = against(found, stack)
    if wrong is None:
        return ""
    return f"{found['claims'][stack]}: {'not ' + ', nor '.join(wrong) if wrong else 'so it is'}"


def _rounded(values: list[float]) -> list[float | None]:
    """Numbers as they are kept; None is one that is not finite, which JSON cannot hold."""
    return [float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None for value in values]
