"""An ejected layer is a file that runs alone, and is the layer that it was."""

import ast
import dataclasses
import importlib
import importlib.util
import io
import subprocess
import sys
import tokenize
from pathlib import Path

import keras
import numpy as np
import pytest

import layerzoo
from layerzoo.catalogue import Card
from layerzoo.cookbook.eject import eject

CARDS = layerzoo.catalogue()


@pytest.fixture(scope="module")
def ejected(tmp_path_factory):
    """The ejected class of each layer, each from a file of its own."""
    folder = tmp_path_factory.mktemp("ejected")
    classes = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        for name, card in CARDS.items():
            module = f"ejected_{name}"
            (folder / f"{module}.py").write_text(eject(card, module))
            classes[name] = getattr(importlib.import_module(module), name)
        yield classes


def plain(card):
    return card.configs(lambda options: options[0])


def inputs_for(card):
    config = plain(card)
    sizes = {"b": 3, "t": 5, **card.dims(lambda options: options[0], config)}
    rng = np.random.default_rng(1)
    return {
        name: rng.normal(size=[sizes.get(letter, 4) for letter in letters]).astype("float32")
        for name, letters in card.axes.items()
    }


@pytest.mark.parametrize("name", CARDS)
def test_the_file_names_layerzoo_in_comments_only(name):
    source = eject(CARDS[name], "my_layers")
    tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
    assert not any("layerzoo" in t.string for t in tokens if t.type != tokenize.COMMENT)
    comments = [t.string for t in tokens if t.type == tokenize.COMMENT]
    assert name in comments[0]
    assert "layerzoo" in comments[0]
    assert "Apache-2.0" in comments[1]


@pytest.mark.parametrize("name", CARDS)
def test_every_class_in_the_file_is_registered_under_the_package(name):
    classes = [
        n for n in ast.parse(eject(CARDS[name], "zebra")).body if isinstance(n, ast.ClassDef)
    ]
    assert classes[-1].name == name
    for node in (c for c in classes if any(ast.unparse(b).endswith("Layer") for b in c.bases)):
        assert ast.unparse(node.decorator_list[0]).endswith("(package='zebra')")


@pytest.mark.skipif(not importlib.util.find_spec("ruff"), reason="ruff is not installed")
def test_the_files_are_clean(tmp_path):
    for name, card in CARDS.items():
        (tmp_path / f"{name.lower()}.py").write_text(eject(card))
    rules = ["--select=E,F,I,UP,B,RUF", "--line-length=110"]
    ruff = [sys.executable, "-m", "ruff"]
    subprocess.run([*ruff, "check", "--isolated", *rules, str(tmp_path)], check=True)
    layout = ["--check", "--isolated", "--line-length=100"]
    subprocess.run([*ruff, "format", *layout, str(tmp_path)], check=True)


@pytest.mark.proof  # a process
def test_a_file_runs_where_there_is_no_layerzoo(tmp_path):
    """One process for all five: the import of Keras is what costs."""
    lines = ["import sys", "sys.modules['layerzoo'] = None  # importing it fails"]
    for name, card in CARDS.items():
        (tmp_path / f"{name.lower()}.py").write_text(eject(card))
        lines.append(f"from {name.lower()} import {name}")
    (tmp_path / "main.py").write_text("\n".join([*lines, "print(GatedMLP(4).hidden_dim)"]))
    run = [sys.executable, str(tmp_path / "main.py")]
    assert subprocess.run(run, capture_output=True, check=True, text=True).stdout == "4\n"


@pytest.mark.parametrize("name", CARDS)
def test_the_ejected_layer_gives_the_same_numbers(name, ejected, randomise):
    card, inputs = CARDS[name], inputs_for(CARDS[name])
    ours, theirs = card.layer(**plain(card)), ejected[name](**plain(card))
    assert type(theirs) is not type(ours)
    ours(**inputs), theirs(**inputs)
    randomise(ours)
    theirs.set_weights(ours.get_weights())
    expected, found = ours(**inputs), theirs(**inputs)
    assert np.abs(keras.ops.convert_to_numpy(expected)).max() > 0
    np.testing.assert_array_equal(
        keras.ops.convert_to_numpy(found), keras.ops.convert_to_numpy(expected)
    )


@pytest.mark.parametrize("name", CARDS)
def test_the_ejected_layer_is_saved_and_loaded_without_custom_objects(name, ejected, tmp_path):
    x = next(iter(inputs_for(CARDS[name]).values()))
    model = keras.Sequential([keras.Input(x.shape[1:]), ejected[name](**plain(CARDS[name]))])
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert type(again.layers[-1]) is ejected[name]
    np.testing.assert_array_equal(model.predict(x, verbose=0), again.predict(x, verbose=0))


def definitions(source):
    """The classes, functions and constants of a source by name, as written but for docstrings."""
    for node in ast.parse(source).body:
        for inner in ast.walk(node):
            if isinstance(inner, ast.ClassDef | ast.FunctionDef) and ast.get_docstring(inner):
                inner.body = inner.body[1:]
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            yield node.name, ast.dump(node)
        elif isinstance(node, ast.Assign):
            yield ast.unparse(node.targets[0]), ast.dump(node)


@pytest.fixture(scope="module")
def written():
    """Every definition in the sources of layerzoo."""
    folder = Path(layerzoo.__file__).parent
    return {each for file in folder.rglob("*.py") for each in definitions(file.read_text("utf-8"))}


@pytest.mark.parametrize("name", CARDS)
def test_every_definition_in_the_file_is_as_it_is_written_in_layerzoo(name, written):
    found = list(definitions(eject(CARDS[name], "layerzoo")))
    assert name in dict(found)
    assert [each for each, _ in found if (each, dict(found)[each]) not in written] == []


@pytest.mark.proof  # of the same code once more: a layer, one that holds layers, and one of images
@pytest.mark.parametrize("name", ["SelfAttention", "Residual", "SqueezeExcite"])
def test_the_ejected_layer_passes_the_conformance_kit(name, ejected):
    from layerzoo.testing import check_layer

    report = check_layer(dataclasses.replace(CARDS[name], layer=ejected[name]), profile="smoke")
    assert report.ok, str(report)


@pytest.mark.parametrize("package", ["", "my-layers", "2fast", "class", "a b"])
def test_a_package_that_is_no_identifier_is_refused(package):
    with pytest.raises(ValueError, match=f"Received: package='{package}'"):
        eject(CARDS["GatedMLP"], package)


def plugin(tmp_path, monkeypatch, **files):
    """The card of the layer `Twice` of a package that is written for the test."""
    folder = tmp_path / "stripes"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    for name in [name for name in sys.modules if name.split(".")[0] == "stripes"]:
        monkeypatch.delitem(sys.modules, name)
    __import__("stripes.twice")
    return Card(layer=sys.modules["stripes.twice"].Twice, inputs="b d")


TWICE = """
import keras
{imports}

@keras.saving.register_keras_serializable(package="stripes")
class Twice(keras.layers.Layer):
    def call(self, inputs):
        return double(inputs)
"""


def test_parts_are_followed_through_constants_and_other_modules(tmp_path, monkeypatch):
    monkeypatch.setattr("layerzoo.cookbook.eject.metadata", lambda name: FakeMetadata)
    card = plugin(
        tmp_path,
        monkeypatch,
        twice=TWICE.format(imports="from stripes.parts import double"),
        parts="from math import pi\n\nTWO: float = 2 * pi / pi\n\n\ndef double(x):\n    return x * TWO\n",
    )
    scope = {"__name__": "spots"}
    exec(eject(card, "spots"), scope)
    assert scope["Twice"]()(np.ones((1, 1))) == 2
    assert scope["__name__"] in keras.saving.get_registered_name(scope["Twice"])


class FakeMetadata:
    json = {"name": "stripes", "version": "1"}


def test_two_parts_of_one_name_are_refused(tmp_path, monkeypatch):
    card = plugin(
        tmp_path,
        monkeypatch,
        twice=TWICE.format(imports="from stripes.parts import double\n\ndef two(): pass").replace(
            "double(inputs)", "double(inputs, two)"
        ),
        parts="def two():\n    return 2\n\n\ndef double(x, by):\n    return x * two()\n",
    )
    with pytest.raises(ValueError, match=r"two of stripes\.parts and two of stripes\.twice"):
        eject(card)


def test_a_part_imported_as_a_module_is_refused(tmp_path, monkeypatch):
    card = plugin(
        tmp_path,
        monkeypatch,
        twice=TWICE.format(imports="import stripes.parts as parts").replace(
            "double", "parts.double"
        ),
        parts="def double(x):\n    return x * 2\n",
    )
    with pytest.raises(ValueError, match=r"Received: import stripes\.parts as parts"):
        eject(card)
