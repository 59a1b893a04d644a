"""Attention on PyTorch, using its fused kernel."""

from keras import ops

from layerzoo.ops.attention_blocks import attend_in_blocks


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


def has_kernel(q, v):
    """Whether the fused kernel takes blocks of these: eagerly, and if values are as wide as queries."""
    import torch

    return not torch.compiler.is_compiling() and q.shape[-1] == v.shape[-1]


def attend_in_kernels(q, k, v, spans, look):
    """The same as `attend_in_blocks` of `layerzoo.ops.attention_blocks`, each block by the fused kernel.

    The kernel has no second derivative. A gradient that is differentiated again goes through the formula.
    """
    import torch

    class Attended(torch.autograd.Function):
        @staticmethod
        def forward(ctx, *inputs):
            leaves = [x.detach().requires_grad_() for x in inputs]
            with torch.enable_grad():
                outputs = kernels(*leaves, spans, look)
            ctx.save_for_backward(*inputs)
            ctx.inside = outputs, leaves
            return outputs.detach()

        @staticmethod
        def backward(ctx, u):
            if torch.is_grad_enabled():
                inputs = ctx.saved_tensors
                outputs = attend_in_blocks(*inputs, (), spans, look)
                again = [x for x in inputs if x.requires_grad]
                found = iter(torch.autograd.grad(outputs, again, u, create_graph=True))
                return tuple(next(found) if x.requires_grad else None for x in inputs)
            return torch.autograd.grad(*ctx.inside, u, retain_graph=True)

    if torch.is_grad_enabled() and (q.requires_grad or k.requires_grad or v.requires_grad):
        return Attended.apply(q, k, v)
    return kernels(q, k, v, spans, look)


def kernels(q, k, v, spans, look):
    """Each block of queries through the fused kernel, without dropout."""
    from torch.nn.functional import scaled_dot_product_attention

    b, g, r, t, h = q.shape
    q = ops.reshape(q, (b, g * r, t, h))
    attended = []
    for i, (q0, q1, k0, k1) in enumerate(spans):
        sight = look(i, (q0, q1, k0, k1), ())
        seen, some = sight.allowed, sight.some
        if some is not None:  # the kernel gives NaN if a query may attend to nothing
            seen = ops.logical_or(seen, ops.logical_not(some))[:, :, 0]
        if sight.bias is not None:
            bias = ops.cast(ops.reshape(sight.bias, (1, g * r, q1 - q0, k1 - k0)), q.dtype)
            seen = bias if seen is None else ops.where(seen, bias, -float("inf"))
        block = scaled_dot_product_attention(
            q[:, :, q0:q1],
            k[:, :, k0:k1],
            v[:, :, k0:k1],
            attn_mask=seen,
            scale=1.0,
            enable_gqa=r > 1,
        )
        if some is not None:
            block = ops.where(some[:, :, 0], block, 0.0)
        attended.append(block)
    return ops.reshape(ops.concatenate(attended, axis=2), (b, g, r, t, v.shape[-1]))
