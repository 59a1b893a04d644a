"""Attention on PyTorch, using its fused kernel."""

from keras import ops


def attend_on_torch(query, key, value, key_mask, causal):
    """The same as `attention` of `layerzoo.ops.attention`, with a mask or causal, but not both."""
    from torch.nn.functional import scaled_dot_product_attention

    query, key, value = (ops.transpose(x, (0, 2, 1, 3)) for x in (query, key, value))
    seen = some = None
    if key_mask is not None:
        seen = ops.cast(key_mask, "bool")[:, None, None, :]
        some = ops.any(seen, axis=-1, keepdims=True)
        # the kernel gives NaN if a query may attend to nothing
        seen = ops.logical_or(seen, ops.logical_not(some))
    grouped = query.shape[1] != key.shape[1]
    attended = scaled_dot_product_attention(
        query, key, value, attn_mask=seen, is_causal=causal, enable_gqa=grouped
    )
    if some is not None:
        attended = ops.where(some, attended, 0.0)
    return ops.transpose(attended, (0, 2, 1, 3))
