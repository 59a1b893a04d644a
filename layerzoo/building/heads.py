"""The heads of attention: how many there may be, how wide each is, and the shapes of their scores."""

import keras

from layerzoo.building.arguments import known_width, optional_positive_int, positive_int


def valid_heads(num_heads, num_key_value_heads=None, head_dim=None) -> None:
    """All must be positive integers, the last two may be None, and the second must divide the first."""
    positive_int(num_heads=num_heads)
    optional_positive_int(num_key_value_heads=num_key_value_heads, head_dim=head_dim)
    if num_heads % (num_key_value_heads or num_heads):
        raise ValueError(
            "`num_key_value_heads` must divide `num_heads`. Received: "
            f"num_heads={num_heads}, num_key_value_heads={num_key_value_heads}"
        )


def head_width(num_heads, head_dim, input_shape, per_head=1) -> int:
    """`head_dim` if it is given, otherwise the width of the inputs over the number of parts.

    Args:
        num_heads: of the layer.
        head_dim: the layer's argument, or None for a layer without one.
        input_shape: of the inputs; the width is the last axis.
        per_head: how many parts of this width each head has.
    """
    width, parts = known_width(input_shape), per_head * num_heads
    if head_dim is None and width % parts:
        rule = "`num_heads`" if per_head == 1 else f"`{per_head} * num_heads`"
        raise ValueError(
            f"{rule} must divide the width of the inputs, unless a `head_dim` is given. "
            f"Received: num_heads={num_heads}, input_shape={tuple(input_shape)}"
        )
    return head_dim or width // parts


def attention_spec(layer, outputs, scores, return_attention_scores):
    """Symbolic outputs of a shape in the layer's compute dtype, and scores of another where asked for."""
    outputs = keras.KerasTensor(outputs, dtype=layer.compute_dtype)
    if not return_attention_scores:
        return outputs
    return outputs, keras.KerasTensor(scores, dtype=layer.compute_dtype)
