"""`CARDS`: a card for every public layer of `keras.layers` that can be checked.

Run them with `layerzoo check hunting.keras_layers:CARDS`, or with `python -m hunting.run`.
"""

from hunting.families import (
    activations,
    attention,
    convolution,
    core,
    images,
    merging,
    normalisation,
    pooling,
    preprocessing,
    recurrent,
    regularisation,
    reshaping,
)

CARDS = [
    card
    for family in (
        core,
        activations,
        regularisation,
        normalisation,
        merging,
        reshaping,
        pooling,
        convolution,
        recurrent,
        attention,
        preprocessing,
        images,
    )
    for card in family.CARDS
]

EXCLUDED = {
    "Layer": "the base class: it computes nothing",
    "Wrapper": "the base class of wrappers: it computes nothing",
    "InputLayer": "a placeholder for the input of a Functional model, which is never called",
    "StringLookup": "its inputs are strings, which the kit does not draw",
    "TextVectorization": "its inputs are strings, which the kit does not draw",
    "TFSMLayer": "it needs a SavedModel on disk",
    "FlaxLayer": "it needs Flax",
    "JaxLayer": "it has a card on JAX only",
    "TorchModuleWrapper": "it has a card on PyTorch only",
}
"""Public layers without a card, at least on some backends, and the reason for each."""

UNMOVED: dict[str, tuple[str, ...]] = {
    # for quantization, which the kit does not do
    "Dense": ("quantization_config",),
    "EinsumDense": ("gptq_unpacked_column_size", "quantization_config"),
    # initial values, which are saved with the weights
    "Embedding": ("weights", "quantization_config"),
    "Bidirectional": ("weights",),
    "JaxLayer": ("params", "state", "native_serialization_platforms"),
    # several devices
    "BatchNormalization": ("synchronized",),
    # sparse outputs, which the kit does not compare
    "CategoryEncoding": ("sparse",),
    "Discretization": ("num_bins", "sparse"),  # bins are given or learnt by `adapt`
    "HashedCrossing": ("sparse",),
    "Hashing": ("sparse",),
    "IntegerLookup": ("sparse", "vocabulary_dtype"),  # Keras allows only one value
    # the only other value needs `pad_to_aspect_ratio`, and is the default
    "Resizing": ("fill_mode",),
}
"""For each layer, the constructor arguments that stay at their defaults."""
