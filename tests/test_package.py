"""What `import layerzoo` does and does not do, each import in a fresh interpreter where it must be."""

import importlib
import importlib.util
import json
import os
import subprocess
import sys

import keras
import pytest

import layerzoo
from layerzoo import _backend, catalogue
from layerzoo._backend import import_keras
from layerzoo._moved import MOVED
from layerzoo.catalogue import families
from layerzoo_entry.backends import BACKENDS

INSTALLED = [name for name in BACKENDS if importlib.util.find_spec(name)]


def run(code, **environment):
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_every_layer_is_registered():
    for card in catalogue().values():
        if card.layer.__module__.startswith("layerzoo."):
            assert keras.saving.get_registered_object(f"layerzoo>{card.name}") is card.layer


def test_the_public_names_are_sorted_and_there():
    in_order = sorted(
        layerzoo.__all__, key=lambda name: (not name.isupper(), not name[0].isupper(), name)
    )
    assert layerzoo.__all__ == in_order  # as ruff sorts them
    assert len(set(layerzoo.__all__)) == len(layerzoo.__all__)
    for name in layerzoo.__all__:
        assert getattr(layerzoo, name).__name__ == name
    packages = [importlib.import_module(f"layerzoo.{family}") for family in families()]
    in_families = {name for package in packages for name in getattr(package, "__all__", ())}
    assert len(in_families) >= 18
    assert in_families <= set(layerzoo.__all__)


@pytest.mark.parametrize(("old", "new"), MOVED.items())
def test_a_module_that_moved_is_imported_from_its_old_place_too(old, new):
    assert importlib.import_module(old) is importlib.import_module(new)
    package, name = old.rsplit(".", 1)
    assert getattr(importlib.import_module(package), name) is importlib.import_module(new)


def test_a_layer_that_moved_is_imported_from_its_old_family_too():
    from layerzoo.attention import RotaryEmbedding, SqueezeExcite

    assert RotaryEmbedding is layerzoo.RotaryEmbedding
    assert SqueezeExcite is layerzoo.SqueezeExcite


@pytest.mark.proof  # a process
def test_importing_it_registers_the_layers_and_brings_no_tool_along():
    # Keras itself imports some of the tools where they are installed: they are forgotten first.
    tools = ["hypothesis", "pytest", "_pytest", "matplotlib", "sklearn", "rich", "layerzoo_entry"]
    result = run(
        "import sys, json, keras\n"
        f"for name in [name for name in sys.modules if name.split('.')[0] in {tools}]:\n"
        "    del sys.modules[name]\n"
        "import layerzoo\n"
        "registered = keras.saving.get_registered_object('layerzoo>SelfAttention')\n"
        "print(json.dumps([registered.__name__, list(sys.modules)]))"
    )
    assert result.returncode == 0, result.stderr
    registered, modules = json.loads(result.stdout.splitlines()[-1])
    assert registered == "SelfAttention"
    assert set(tools) & {module.split(".")[0] for module in modules} == set()
    parts = {module.split(".")[1] for module in modules if module.startswith("layerzoo.")}
    assert parts & {"cli", "testing", "cookbook"} == set()
    assert parts >= {"attention", "residual", "gated", "ops", "catalogue"}


def test_an_absent_backend_is_explained():
    absent = next((name for name in BACKENDS if name not in INSTALLED), "jax")
    others = [name for name in INSTALLED if name != absent]
    # Every finder is asked in vain for the backend, as on a machine that does not have it.
    result = run(
        "import os, sys\n"
        "class WithoutIt:\n"
        "    def __init__(self, finder):\n"
        "        self.finder = finder\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        absent = name.split('.')[0] == os.environ['KERAS_BACKEND']\n"
        "        return None if absent else self.finder.find_spec(name, path, target)\n"
        "sys.meta_path[:] = [WithoutIt(finder) for finder in sys.meta_path]\n"
        "import layerzoo",
        KERAS_BACKEND=absent,
    )
    assert result.returncode == 1
    assert result.stderr.strip().splitlines()[-1] == (
        "layerzoo_entry.usage.NotInstalled: layerzoo needs the backend that Keras is configured to use. "
        f"KERAS_BACKEND={absent} needs {absent!r}, which is not installed. "
        f"Installed backends: {', '.join(others)}. To fix this: "
        f"{_backend.install(absent)}, or set KERAS_BACKEND={others[0]}."
    )


@pytest.fixture
def failing_import(monkeypatch):
    """Makes the import of Keras fail for want of a module, with some backends installed."""

    def fail(missing, installed):
        def import_module(name):
            raise ModuleNotFoundError(f"No module named {missing!r}", name=missing)

        monkeypatch.setattr(_backend.importlib, "import_module", import_module)
        monkeypatch.setattr(
            _backend.importlib.util, "find_spec", lambda name: name in installed or None
        )

    return fail


def test_without_any_backend_the_default_one_is_advised(monkeypatch, failing_import):
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    failing_import("tensorflow", installed=[])
    with pytest.raises(ImportError) as error:
        import_keras()
    assert str(error.value).endswith(
        "Keras's configuration (backend 'tensorflow') needs 'tensorflow', which is not installed. "
        f"Installed backends: none. To fix this: {_backend.install('tensorflow')}."
    )


def test_the_command_that_installs_an_extra_works_where_layerzoo_is(monkeypatch, tmp_path):
    """From a checkout by its path, and else by the name of what is installed; from any folder."""
    monkeypatch.setattr(_backend.sys, "executable", "/my venv/bin/python")
    house = tmp_path / "my checkout" / "layerzoo"
    monkeypatch.setattr(_backend, "__file__", str(house / "_backend.py"))
    pip = "'/my venv/bin/python' -m pip install"
    assert _backend.install("jax") == f'{pip} "layerzoo[jax]"'
    house.mkdir(parents=True)
    (house.parent / "pyproject.toml").touch()
    assert _backend.install("jax") == f"{pip} -e '{house.parent}[jax]'"


def test_another_missing_module_is_not_explained_away(failing_import):
    failing_import("h5py", installed=["torch"])
    with pytest.raises(ModuleNotFoundError, match="No module named 'h5py'"):
        import_keras()
