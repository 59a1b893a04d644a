"""What experiments share: data that packages ship, and plain training.

The data is scikit-learn's handwritten digits, and the English text of Python's own documentation, which
CPython ships as `pydoc_data.topics`.
"""

import importlib.util
from collections.abc import Callable, Sequence
from functools import cache

import keras
import numpy as np
from keras import layers

from layerzoo._backend import install
from layerzoo.attention.self_attention import SelfAttention
from layerzoo.gated.gated_mlp import GatedMLP
from layerzoo.residual.residual import Residual
from layerzoo_entry.usage import NotInstalled

HELD_OUT = 0.1
"""The share of the text, at its end, on which nothing is trained."""


def digits(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The 1,797 handwritten digits `(image, 8, 8, 1)` between 0 and 1, with a quarter of them held out.

    Returns:
        Training images, held-out images, training labels, held-out labels.

    Raises:
        NotInstalled: scikit-learn is not installed.
    """
    if importlib.util.find_spec("sklearn") is None:
        raise NotInstalled(
            f"This experiment needs the extra `demo`: {install('demo')}. Received: missing=['sklearn']"
        )
    from sklearn import datasets, model_selection

    shipped = datasets.load_digits()
    images = (shipped.images / 16).astype("float32")[..., None]
    return tuple(
        model_selection.train_test_split(
            images, shipped.target, test_size=0.25, stratify=shipped.target, random_state=seed
        )
    )


def bags(images, labels, wanted: int, size: int, count: int, seed: int):
    """Bags of digits, of which half hold exactly one of the wanted digit, and half none.

    Returns:
        Bags `(bag, size, 64)`; for each whether it holds the digit, `(bag, 1)`; and at which place.
    """
    generator = np.random.default_rng(seed)
    others, right = np.flatnonzero(labels != wanted), np.flatnonzero(labels == wanted)
    chosen = generator.choice(others, (count, size))
    place = generator.integers(size, size=count)
    positive = np.arange(count) % 2 == 0
    chosen[positive, place[positive]] = generator.choice(right, positive.sum())
    flat = images.reshape(len(images), -1)
    return flat[chosen], positive.astype("float32")[:, None], place


DEPTH, NARROW, DEEP_EPOCHS = 64, 32, 6
DEEP = (
    f"Handwritten digits of scikit-learn. {DEPTH} dense layers of {NARROW} with ReLU and He's initial "
    f"weights, between two linear layers; {DEEP_EPOCHS} epochs of Adam at 1e-3 in batches of 32."
)


def deep_dense() -> layers.Layer:
    """One layer of a deep stack."""
    return layers.Dense(NARROW, activation="relu", kernel_initializer="he_normal")


def deep_accuracy(
    block: Callable[[], layers.Layer], seed: int, depth: int = DEPTH, epochs: int = DEEP_EPOCHS
) -> float:
    """The accuracy of a deep stack on held-out digits.

    Args:
        block: Makes one of its blocks, such as a wrapped `deep_dense()`.
        seed: The seed of the split and of the training.
        depth: The number of blocks.
        epochs: How often all of the data is seen.
    """
    images, test_images, labels, test_labels = digits(seed)

    def make():
        stack = [block() for _ in range(depth)]
        start = [keras.Input((8, 8, 1)), layers.Flatten(), layers.Dense(NARROW)]
        return keras.Sequential([*start, *stack, layers.Dense(10)])

    model = trained(make, images, labels, seed, epochs=epochs)
    return accuracy(model, test_images, test_labels)


def convolutional_accuracy(
    blocks: Callable[[], Sequence[layers.Layer]],
    filters: int,
    seed: int,
    count: int | None = None,
    **training,
) -> float:
    """The accuracy of a stack of blocks of images on held-out digits.

    Args:
        blocks: Makes the blocks, which stand between a convolution and the mean over all pixels.
        filters: The number of channels that the first block takes.
        seed: The seed of the split and of the training.
        count: How many digits to train on. Default: all that are not held out.
        **training: Arguments of `trained`.
    """
    images, test_images, labels, test_labels = digits(seed)

    def make():
        start = [keras.Input((8, 8, 1)), layers.Conv2D(filters, 3, padding="same")]
        return keras.Sequential(
            [*start, *blocks(), layers.GlobalAveragePooling2D(), layers.Dense(10)]
        )

    model = trained(make, images[:count], labels[:count], seed, **training)
    return accuracy(model, test_images, test_labels)


def weights_of(block: layers.Layer, channels: int, kernels: bool = False) -> int:
    """How many trained weights a block of images has.

    Args:
        block: The block.
        channels: The number of channels of its inputs.
        kernels: Whether to count the convolutions' kernels alone: as many multiplications a pixel.
    """
    block.build((None, 8, 8, channels))
    found = [weight for weight in block.trainable_weights if not kernels or len(weight.shape) > 1]
    return sum(int(np.prod(weight.shape)) for weight in found)


CHANNELS, DRAWS = 16, 4
BROKEN = (
    f"Handwritten digits of scikit-learn in {CHANNELS} channels, each with noise of its own. In each image a "
    "random half of the channels is broken: their noise is 12 times as strong. A depthwise convolution "
    "with ReLU, the gate, a convolution with 32 filters and ReLU, a maximum over 2 by 2 pixels and a dense "
    f"layer. Each training image is there {DRAWS} times, with other noise; 5 epochs of Adam at 3e-3 in "
    "batches of 32."
)


def broken_channels(seed: int):
    """Digits in many noisy channels, of which others are broken in each image.

    Returns:
        Training images, held-out images `(image, 8, 8, 16)`, training labels, held-out labels.
    """
    images, test_images, labels, test_labels = digits(seed)
    generator = np.random.default_rng(seed)

    def spoilt(clean):
        halves = np.tile(np.arange(CHANNELS) % 2, (len(clean), 1, 1, 1))
        strength = np.where(generator.permuted(halves, axis=-1), 3, 0.25)
        noise = generator.normal(size=(*clean.shape[:3], CHANNELS))
        return (clean + strength * noise).astype("float32")

    training = spoilt(np.repeat(images, DRAWS, axis=0))
    return training, spoilt(test_images), np.repeat(labels, DRAWS), test_labels


def gated_accuracy(gate: Callable[[], layers.Layer] | None, seed: int) -> float:
    """The accuracy of a small convolutional network on these digits, with or without a gate."""
    images, test_images, labels, test_labels = broken_channels(seed)

    def make():
        return keras.Sequential(
            [
                keras.Input(images.shape[1:]),
                layers.DepthwiseConv2D(3, padding="same", activation="relu"),
                *([gate()] if gate else []),
                layers.Conv2D(32, 3, padding="same", activation="relu"),
                layers.MaxPooling2D(),
                layers.Flatten(),
                layers.Dense(10),
            ]
        )

    model = trained(make, images, labels, seed, epochs=5, learning_rate=3e-3)
    return accuracy(model, test_images, test_labels)


def extra_weights(gate: layers.Layer) -> int:
    """How many weights a gate adds to that network."""
    gate.build((None, 8, 8, CHANNELS))
    return gate.count_params()


BAGS = (
    "Bags of 30 handwritten digits of scikit-learn; half of them hold one 9: is there one? The digits of the "
    "1,000 held-out bags are held out too. A dense layer of 64 with ReLU reads each digit, the pooling "
    "makes one vector of the bag, and a dense layer answers; 2,000 bags, 20 epochs of Adam at 1e-3."
)
POOLINGS = {"mean": layers.GlobalAveragePooling1D, "maximum": layers.GlobalMaxPooling1D}


def bags_of(seed: int):
    """Bags to train on and held-out bags, each as `bags` returns them."""
    images, test_images, labels, test_labels = digits(seed)
    training = bags(images, labels, wanted=9, size=30, count=2000, seed=seed)
    return training, bags(test_images, test_labels, wanted=9, size=30, count=1000, seed=seed)


def bag_model(pool: layers.Layer) -> keras.Model:
    """A model that answers yes or no about a bag, with a pooling of the digits' features."""
    return keras.Sequential(
        [
            keras.Input((None, 64)),
            layers.Dense(64, activation="relu"),
            pool,
            layers.Dense(1),
        ]
    )


def trained_on_bags(make, data, seed: int) -> keras.Model:
    """A model of bags, trained."""
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    return trained(make, data[0], data[1], seed, epochs=20, loss=loss)


def found_in(model: keras.Model, data) -> float:
    """The share of bags about which a model is right."""
    inputs, positive, _ = data
    return float(np.mean((predicted(model, inputs) > 0) == (positive > 0)))


@cache
def characters() -> tuple[np.ndarray, int]:
    """The text as integers, one for each character, and the number of different characters."""
    from pydoc_data.topics import topics

    text = "\n".join(topics[name] for name in sorted(topics))
    symbols = {symbol: index for index, symbol in enumerate(sorted(set(text)))}
    return np.array([symbols[symbol] for symbol in text], "int32"), len(symbols)


def windows(length: int, count: int, seed: int, held_out: bool = False):
    """Pieces of the text from random places, and for each of their characters the one that follows.

    Returns:
        Two arrays of integers `(count, length)`.
    """
    text, _ = characters()
    border = int(len(text) * (1 - HELD_OUT))
    part = text[border:] if held_out else text[:border]
    starts = np.random.default_rng(seed).integers(len(part) - length, size=(count, 1))
    pieces = part[starts + np.arange(length + 1)]
    return pieces[:, :-1], pieces[:, 1:]


def character_model(blocks: Sequence[layers.Layer], width: int = 64) -> keras.Model:
    """A model of the text: an embedding, blocks, a norm, and the scores of what follows each character."""
    symbols = characters()[1]
    return keras.Sequential(
        [
            keras.Input((None,), dtype="int32"),
            layers.Embedding(symbols, width),
            *blocks,
            layers.LayerNormalization(),
            layers.Dense(symbols),
        ]
    )


TEXT = "The English text of Python's own documentation, character by character; the last tenth is held out."
TRANSFORMER = (
    "Two pre-norm blocks of causal attention with 4 heads and a gated MLP, width 64; 300 steps of Adam at "
    "3e-3 on 32 pieces of 64 characters."
)


def transformer(attention: Callable[[], layers.Layer], start: Sequence[layers.Layer] = ()):
    """A model of the text with two pre-norm blocks, each with an attention and a gated MLP.

    Args:
        attention: Makes the attention of a block.
        start: Layers between the embedding and the first block.
    """
    blocks = []
    for _ in range(2):
        blocks += [Residual(attention(), norm="pre"), Residual(GatedMLP(170), norm="pre")]
    return character_model([*start, *blocks])


def positioned(position: Callable[[], layers.Layer] | None = None):
    """A function that makes such a model with a layer for the positions inside its attention."""

    def make():
        return transformer(
            lambda: SelfAttention(4, causal=True, position=position() if position else None)
        )

    return make


def of_sinusoids():
    """Such a model, with the sinusoids of the first transformer added to its embeddings."""
    return transformer(lambda: SelfAttention(4, causal=True), start=[Sinusoids()])


def trained_on_text(make: Callable[[], keras.Model], seed: int, steps: int = 300) -> keras.Model:
    """A model of the text, trained on 32 pieces of 64 characters at each step."""
    pieces, following = windows(64, 32 * steps, seed)
    return trained(make, pieces, following, seed, learning_rate=3e-3)


class LearnedPositions(layers.Layer):
    """Adds a learned vector for each step to a sequence of known length."""

    def build(self, input_shape):
        """Make the vectors."""
        self.vectors = self.add_weight(shape=input_shape[1:], initializer="uniform", name="vectors")

    def call(self, inputs):
        """Add them."""
        return inputs + self.vectors


class Sinusoids(layers.Layer):
    """Adds the sines and cosines of "Attention is all you need" to a sequence."""

    def call(self, inputs):
        """Add them."""
        width, steps = inputs.shape[-1], keras.ops.shape(inputs)[1]
        angles = keras.ops.arange(steps, dtype="float32")[:, None] / 10_000.0 ** (
            np.arange(0, width, 2).astype("float32") / width
        )
        return inputs + keras.ops.concatenate([keras.ops.sin(angles), keras.ops.cos(angles)], -1)


def trained(
    make: Callable[[], keras.Model],
    inputs,
    targets,
    seed: int,
    *,
    epochs: int = 1,
    batch_size: int = 32,
    learning_rate: float = 1e-3,
    loss="sparse_categorical",
    **optimizer,
) -> keras.Model:
    """A model, made from a seed and trained by Adam.

    Args:
        make: Makes the model.
        inputs: What the model is called with.
        targets: What it should return.
        seed: The seed of weights, shuffling and dropout.
        epochs: How often all of the data is seen.
        batch_size: Samples in a step.
        learning_rate: Adam's.
        loss: Keras's, or `"sparse_categorical"` for the cross-entropy of scores that no softmax has seen.
        **optimizer: Further arguments of Adam.
    """
    keras.utils.set_random_seed(seed)
    model = make()
    if loss == "sparse_categorical":
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(learning_rate, **optimizer), loss)
    model.fit(inputs, targets, batch_size=batch_size, epochs=epochs, verbose=0)
    return model


def predicted(model: keras.Model, inputs, batch_size: int = 64) -> np.ndarray:
    """The output of a model at inference."""
    return np.asarray(model.predict(inputs, batch_size=batch_size, verbose=0), "float64")


def accuracy(model: keras.Model, inputs, labels) -> float:
    """The share of labels to which the model gives the highest score."""
    return float(np.mean(predicted(model, inputs).argmax(-1) == labels))


def cross_entropy(model: keras.Model, inputs, labels, last: int | None = None) -> float:
    """The mean of the negative logarithm of what a model thinks of the labels, in nats.

    Args:
        model: Returns scores.
        inputs: What it is called with.
        labels: Integers of shape `(samples, steps)`.
        last: How many steps at the end count. Default: all.
    """
    scores = predicted(model, inputs, batch_size=16)
    scores, labels = (scores[:, -last:], labels[:, -last:]) if last else (scores, labels)
    right = np.take_along_axis(scores, labels[..., None], -1)[..., 0]
    highest = scores.max(-1)
    return float(np.mean(highest + np.log(np.exp(scores - highest[..., None]).sum(-1)) - right))
