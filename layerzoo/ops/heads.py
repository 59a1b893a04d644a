"""What is asked of the heads of attention: how many there may be, and how wide each is."""

import keras

from layerzoo.ops.arguments import known_width, optional_positive_int, positive_int


def valid_heads(num_heads, num_key_value_heads=None, head_dim=None) -> None:
    """All must be positive integers, the last two may be None, and the second must divide the first."""
    positive_int(num_heads=num_heads)
    optional_positive_int(num_key_value_heads=num_key_value_heads, head_dim=head_dim)
    if num_heads % (num_key_value_heads or num_heads):
        raise ValueError(
            "`num_key_value_heads` must divide `num_heads`. Received: "
            f"num_heads={num_heads}, num_key_value_heads={num_key_value_heads}"
        )


def head_width(num_heads, head_dim, input_shape) -> int:
    """`head_dim`, or else the width of the inputs over `num_heads`, which must divide it."""
    width = known_width(input_shape)
    if head_dim is None and width % num_heads:
        raise ValueError(
            "`num_heads` must divide the width of the inputs where `head_dim` is not given. "
            f"Received: num_heads={num_heads}, input_shape={tuple(input_shape)}"
        )
    return head_dim or width // num_heads


def attention_spec(layer, outputs, scores, return_attention_scores):
    """Symbolic outputs of a shape in the layer's compute dtype, and scores of another where asked for."""
    outputs = keras.KerasTensor(outputs, dtype=layer.compute_dtype)
    if not return_attention_scores:
        return outputs
    return outputs, keras.KerasTensor(scores, dtype=layer.compute_dtype)
