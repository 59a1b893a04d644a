"""What the comparisons share: modules of other packages, their random weights, and how to run them."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from arrays import by_group, random
from keras import ops

from layerzoo.states import call_with_state, get_initial_state

torch = pytest.importorskip("torch", reason="the other side of the comparison is PyTorch")


def alone(name):
    """A module of an installed package, without the rest of it, which needs more to be imported."""
    package, *path = name.split(".")
    spec = importlib.util.find_spec(package)
    if spec is None:
        pytest.skip(f"{package} is not installed", allow_module_level=True)
    file = Path(spec.submodule_search_locations[0], *path).with_suffix(".py")
    spec = importlib.util.spec_from_file_location(name, file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def randomised(module, seed=0):
    """A PyTorch module at inference, every weight random, for zeros and ones hide errors."""
    with torch.no_grad():
        for i, weight in enumerate(module.parameters()):
            weight.copy_(torch.tensor(0.5 * random(*weight.shape, seed=(seed, i))))
    return module.eval()


def run(module, *arrays, **kwargs):
    """What a PyTorch module or function makes of arrays, as an array."""
    arrays = [torch.tensor(array) for array in arrays]
    kwargs = {
        name: torch.tensor(value) if isinstance(value, np.ndarray) else value
        for name, value in kwargs.items()
    }
    with torch.no_grad():
        outputs = module(*arrays, **kwargs)
    return (outputs[0] if isinstance(outputs, tuple) else outputs).numpy()


def step_by_step(layer, x):
    """The outputs of a layer that is given one step at a time, after the first four at once."""
    state = get_initial_state(layer, len(x), x.shape[1])
    outputs = []
    for piece in np.split(x, range(4, x.shape[1]), axis=1):
        y, state = call_with_state(layer, piece, state)
        outputs.append(y)
    return ops.concatenate(outputs, axis=1)


def number(weight):
    """The value of a PyTorch weight."""
    return weight.detach().numpy()


def kernel(*modules):
    """Keras's kernel of linear maps or convolutions of PyTorch, side by side."""
    kernels = [np.moveaxis(number(module.weight), (0, 1), (-1, -2)) for module in modules]
    return np.concatenate(kernels, axis=-1)


def copy_fused(module, layer, groups, kinds):
    """Give a fused projection the weights of PyTorch's, whose columns are ordered by kind."""
    copy(module, layer)
    layer.set_weights([by_group(groups, *np.split(w, kinds, axis=-1)) for w in layer.get_weights()])


def copy(module, layer):
    """Give a linear map or a convolution the weights of PyTorch's."""
    layer.kernel.assign(kernel(module).reshape(layer.kernel.shape))
    assert layer.use_bias == (module.bias is not None)
    if layer.use_bias:
        layer.bias.assign(number(module.bias))
