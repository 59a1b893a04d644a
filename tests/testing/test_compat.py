"""What is private to Keras: each name is found where it is, and missed where it is gone."""

import ast
import inspect
import re
import types

import keras
import numpy as np
import pytest

from layerzoo.tensors import compat
from layerzoo.testing import Inconclusive

MASK = np.array([[True, True, False]])


def _backend(monkeypatch, here=(), common=()):
    """Let Keras's backend have its functions for masks in these places alone."""
    from keras.src.backend.common import masking

    def functions(names):
        return {name: getattr(masking, name) for name in names}

    inner = types.SimpleNamespace(**functions(common))
    backend = types.SimpleNamespace(common=inner, **functions(here))
    monkeypatch.setattr(keras.src, "backend", backend)


BOTH = ("get_keras_mask", "set_keras_mask")


@pytest.mark.parametrize(
    "places", [dict(here=BOTH), dict(common=BOTH), dict(here=BOTH, common=BOTH)]
)
def test_the_functions_for_masks_are_found_where_keras_has_them(monkeypatch, places):
    x = keras.ops.ones((1, 3, 2))
    _backend(monkeypatch, **places)
    assert compat.mask_of(x) is None
    assert compat.with_mask(x, MASK) is x
    assert compat.mask_of(x) is MASK


def test_where_they_are_gone_nothing_is_concluded(monkeypatch):
    x = keras.ops.ones((1, 3, 2))
    _backend(monkeypatch)
    for ask, name in (
        (lambda: compat.mask_of(x), BOTH[0]),
        (lambda: compat.with_mask(x, MASK), BOTH[1]),
    ):
        with pytest.raises(
            Inconclusive, match=f"Received: Keras {keras.__version__} without `{name}`"
        ):
            ask()
    assert set(BOTH) <= set(compat.lost())


def test_what_masking_put_on_a_tensor_is_what_is_read():
    x = keras.layers.Masking()(np.array([[[1.0], [2.0], [0.0]]], "float32"))
    assert np.array_equal(compat.array(compat.mask_of(x)), MASK)


def test_this_keras_has_every_private_name():
    assert compat.lost() == []


REMOVED = {
    "BIT64_TO_BIT32_DTYPE": ("keras.src.backend.common.dtypes.BIT64_TO_BIT32_DTYPE", None),
    "_flatten_layers": ("keras.layers.Layer._flatten_layers", None),
    "_is_default": ("keras.layers.Layer.build", lambda self, shape: None),
    "object_name_uids": (
        "keras.src.backend.common.global_state.set_global_attribute",
        lambda name, value: None,
    ),
    "_auto_config": (
        "keras.layers.Dense.__new__",
        lambda cls, *args, **kwargs: object.__new__(cls),
    ),
    "random_initializers.random": ("keras.src.initializers.random_initializers.random", None),
    "constant_initializers.ops": ("keras.src.initializers.constant_initializers.ops", None),
    "serialization_lib.tf": ("keras.src.saving.serialization_lib.tf", None),
    "_convert_input_args": ("keras.layers.Layer.__init__", lambda self, *args, **kwargs: None),
    "current_call_ctx": (
        "keras.src.backend.common.global_state.get_global_attribute",
        lambda name, *args, **kwargs: None,
    ),
}
"""For a private name, what is taken from Keras, or put in its place, so that it is lost."""


@pytest.mark.parametrize("name", REMOVED)
def test_a_private_name_that_is_gone_is_missed(monkeypatch, name):
    path, instead = REMOVED[name]
    if instead is None:
        monkeypatch.delattr(path)
    else:
        monkeypatch.setattr(path, instead)
    assert name in compat.lost()


def test_private_attributes_of_instances_are_missed(monkeypatch):
    class Bare:
        def __init__(self, *args, **kwargs):
            pass

    monkeypatch.setattr(keras.layers, "Dropout", Bare)
    monkeypatch.setattr(keras.random, "SeedGenerator", Bare)
    monkeypatch.setattr(keras, "Variable", Bare)
    assert compat.lost() == ["Variable.__init__", "_seed_generators", "_initial_seed"]


def test_every_private_name_in_the_module_is_watched():
    """So that a hook which is added later is not missed by the command that asks a newer Keras."""
    tree = ast.parse(inspect.getsource(compat))
    ours = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    used = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and re.match("_[a-z]", node.attr)
    }
    asked = ("getattr", "hasattr", "get_global_attribute", "set_global_attribute")
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in asked:
            used |= {a.value for a in node.args if isinstance(a, ast.Constant) and a.value}
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("swapped"):
            module, name = node.args[:2]
            used.add(f"{ast.unparse(module)}.{getattr(name, 'value', None) or ast.unparse(name)}")
    taken = {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("keras.src")
        for alias in node.names
    }
    modules = {
        *("backend", "dtypes", "global_state", "nn", "object_registration", "variables"),
        *("constant_initializers", "random_initializers", "serialization_lib"),
    }
    assert used - ours == set(compat.HOOKS) - {
        "get_keras_mask",
        "set_keras_mask",
        "Variable.__init__",
    }
    assert taken - modules == {"Variable"}
