"""Makes torchvision importable where its wheel is built for GPUs and PyTorch's is not."""

import importlib.util

if importlib.util.find_spec("torchvision"):  # timm needs it, and transformers looks for it
    import torch

    try:
        import torchvision  # noqa: F401
    except RuntimeError:  # two of its operators are missing then, and nothing here uses them
        operators = torch.library.Library("torchvision", "DEF")
        for name in ("nms", "qnms"):
            operators.define(f"{name}(Tensor boxes, Tensor scores, float threshold) -> Tensor")
