"""The heads of attention: how many there may be, how wide each is, and the shapes of their scores."""

import keras

from layerzoo.building.arguments import known_width, optional_positive_int, positive_int


def valid_heads(num_heads, num_key_value_heads=None, head_dim=None) -> tuple:
    """The three as integers, or None, after a check that `num_key_value_heads` divides `num_heads`.

    `num_key_value_heads` and `head_dim` may be None.
    """
    num_heads = positive_int(num_heads=num_heads)
    num_key_value_heads = optional_positive_int(num_key_value_heads=num_key_value_heads)
    head_dim = optional_positive_int(head_dim=head_dim)
    if num_heads % (num_key_value_heads or num_heads):
        raise ValueError(
            "`num_key_value_heads` must divide `num_heads`. Received: "
            f"num_heads={num_heads}, num_key_value_heads={num_key_value_heads}"
        )
    return num_heads, num_key_value_heads, head_dim


def head_width(num_heads, head_dim, input_shape, per_head=1) -> int:
    """`head_dim` if it is given, otherwise the width of the inputs divided by the number of parts.

    Args:
        num_heads: number of heads of the layer.
        head_dim: the layer's argument, or None for a layer that does not have it.
        input_shape: shape of the inputs. The width is the last axis.
        per_head: how many parts of this width each head has.
    """
    width, parts = known_width(input_shape), per_head * num_heads
    if head_dim is None and width % parts:
        rule = "`num_heads`" if per_head == 1 else f"`{per_head} * num_heads`"
        raise ValueError(
            f"{rule} must divide the width of the inputs unless `head_dim` is given. "
            f"Received: num_heads={num_heads}, input_shape={tuple(input_shape)}"
        )
    return head_dim or width // parts


def known_context(context_shape) -> None:
    """A context must have three axes, of which the last has a known size."""
    known_width(context_shape)
    if len(context_shape) != 3:
        raise ValueError(
            f"`context` must have three axes. Received: context_shape={tuple(context_shape)}"
        )


def attention_spec(layer, outputs, scores, return_attention_scores):
    """Symbolic outputs in the layer's compute dtype, and symbolic scores if they are asked for.

    Args:
        layer: the layer, for its compute dtype.
        outputs: shape of the outputs.
        scores: shape of the scores.
        return_attention_scores: whether to return the scores too.
    """
    outputs = keras.KerasTensor(outputs, dtype=layer.compute_dtype)
    if not return_attention_scores:
        return outputs
    return outputs, keras.KerasTensor(scores, dtype=layer.compute_dtype)
