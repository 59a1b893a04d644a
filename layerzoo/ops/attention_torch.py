"""Attention on PyTorch, using its fused kernel."""

from keras import backend, ops

from layerzoo.ops.attention_blocks import attend_in_blocks


def attend_on_torch(query, key, value, key_mask, causal):
    """The same as `attention` of `layerzoo.ops.attention`, with a mask or causal, but not both."""
    from torch.nn.functional import scaled_dot_product_attention

    query, key, value = (ops.transpose(x, (0, 2, 1, 3)) for x in (query, key, value))
    seen = some = None
    if key_mask is not None:
        seen = ops.expand_dims(ops.cast(key_mask, "bool"), (1, 2))
        some = ops.any(seen, axis=-1, keepdims=True)
        # the kernel gives NaN if a query may attend to nothing
        seen = ops.logical_or(seen, ops.logical_not(some))
    heads, groups = int(query.shape[1]), int(key.shape[1])
    if heads != groups and exporting():  # ONNX has no kernel for grouped heads
        key, value = (ops.repeat(x, heads // groups, axis=1) for x in (key, value))
    grouped = heads != int(key.shape[1])
    attended = scaled_dot_product_attention(
        query, key, value, attn_mask=seen, is_causal=causal, enable_gqa=grouped
    )
    if some is not None:
        attended = ops.where(some, attended, 0.0)
    return ops.transpose(attended, (0, 2, 1, 3))


def has_kernel(q, v):
    """Whether PyTorch's fused kernel takes blocks of these: eagerly, and if values are as wide as queries."""
    if backend.backend() != "torch":
        return False
    import torch

    if exporting() or torch.compiler.is_compiling():
        return False
    return q.shape[-1] == v.shape[-1]


def exporting():
    """Whether PyTorch traces a model for a file. Shapes are then tensors."""
    import torch

    return torch.jit.is_tracing() or torch.compiler.is_exporting()


def attend_in_kernels(q, k, v, spans, look):
    """The same as `attend_in_blocks` of `layerzoo.ops.attention_blocks`, each block by the fused kernel.

    The kernel has no second derivative. A gradient that is differentiated again goes through the formula.
    """
    import torch

    def parts_of(q, k, v):
        return [(q[..., q0:q1, :], k[..., k0:k1, :], v[..., k0:k1, :]) for q0, q1, k0, k1 in spans]

    def attend_all(parts):
        spanned = enumerate(zip(parts, spans, strict=True))
        return [kernel(q, k, v, look(i, span, ())) for i, ((q, k, v), span) in spanned]

    class Attended(torch.autograd.Function):
        @staticmethod
        def forward(ctx, *inputs):
            parts = [[x.detach().requires_grad_() for x in part] for part in parts_of(*inputs)]
            with torch.enable_grad():
                outputs = attend_all(parts)
            ctx.save_for_backward(*inputs)
            ctx.inside = outputs, parts
            return torch.cat([x.detach() for x in outputs], 3)

        @staticmethod
        def backward(ctx, u):
            q, k, v = inputs = ctx.saved_tensors
            if torch.is_grad_enabled():
                outputs = attend_in_blocks(q, k, v, (), spans, look)
                moved = [x for x in inputs if x.requires_grad]
                again = iter(torch.autograd.grad(outputs, moved, u, create_graph=True))
                return tuple(next(again) if x.requires_grad else None for x in inputs)
            outputs, parts = ctx.inside
            us = [u[..., q0:q1, :] for q0, q1, _, _ in spans]
            found = torch.autograd.grad(
                outputs, [x for part in parts for x in part], us, retain_graph=True
            )
            # the gradient of a slice of a whole would be as long as the whole, for each block
            sums = tuple(torch.zeros_like(x) for x in inputs)
            for i, part in enumerate(parts_of(*sums)):
                for whole, added in zip(part, found[3 * i : 3 * i + 3], strict=True):
                    whole += added
            return sums

    if torch.is_grad_enabled() and (q.requires_grad or k.requires_grad or v.requires_grad):
        return Attended.apply(q, k, v)
    return torch.cat(attend_all(parts_of(q, k, v)), 3)


def kernel(q, k, v, sight):
    """The same as `attend` of `layerzoo.ops.attention_blocks`, by the fused kernel and without dropout."""
    from torch.nn.functional import scaled_dot_product_attention

    b, g, r, m, h = q.shape
    seen, some = sight.allowed, sight.some
    if some is not None:  # the kernel gives NaN if a query may attend to nothing
        seen = ops.logical_or(seen, ops.logical_not(some))[:, :, 0]
    if sight.bias is not None:
        bias = ops.cast(ops.reshape(sight.bias, (-1, g * r, m, k.shape[2])), q.dtype)
        seen = bias if seen is None else ops.where(seen, bias, -float("inf"))
    attended = scaled_dot_product_attention(
        ops.reshape(q, (b, g * r, m, h)), k, v, attn_mask=seen, scale=1.0, enable_gqa=r > 1
    )
    attended = ops.reshape(attended, (b, g, r, m, h))
    return attended if some is None else ops.where(some, attended, 0.0)
