"""`layerzoo new`: what it refuses before it writes, and a package that works in a fresh environment."""

import os
import re
import subprocess
import sys
import venv
from importlib.util import find_spec
from pathlib import Path

import pytest

from layerzoo_entry import scaffold
from layerzoo_entry.cli import main

ROOT = Path(__file__).parents[2]


def tree(folder):
    """The text of every file under a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8")
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_the_package_is_written_under_its_name(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["new", "Acme.Fine-Layers"]) == 0
    assert "wrote Acme.Fine-Layers;" in capsys.readouterr().out
    written = tree(tmp_path / "Acme.Fine-Layers")
    assert set(written) == {
        *["pyproject.toml", "README.md", "tests/test_layers.py"],
        *[
            f"acme_fine_layers/{name}.py"
            for name in ("__init__", "affine", "cards/__init__", "cards/affine")
        ],
    }
    assert 'name = "Acme.Fine-Layers"' in written["pyproject.toml"]
    assert 'acme_fine_layers = "acme_fine_layers.cards:CARDS"' in written["pyproject.toml"]
    assert 'package="acme_fine_layers"' in written["acme_fine_layers/affine.py"]
    assert not re.search("my[-_]layers", "".join(written.values()))


def test_the_template_is_what_is_written_under_its_own_name(tmp_path):
    assert scaffold.new("my-layers", tmp_path / "deep" / "folder") == tmp_path / "deep" / "folder"
    written = tree(tmp_path / "deep" / "folder")
    assert set(written) == set(scaffold.FILES)
    template = {path for path in scaffold.TEMPLATE.rglob("*") if path.suffix != ".pyc"}
    files = {path for path in template if path.is_file() and "cache" not in str(path)}
    assert {path.relative_to(scaffold.TEMPLATE).as_posix() for path in files} == set(written)
    assert written == {name: (scaffold.TEMPLATE / name).read_text("utf-8") for name in written}


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("", "must be letters, digits"),
        ("-layers", "must be letters, digits"),
        ("layers-", "must be letters, digits"),
        ("my layers", "must be letters, digits"),
        ("../layers", "must be letters, digits"),
        ("my/layers", "must be letters, digits"),
        ("läyers", "must be letters, digits"),
        ("layers\n", "must be letters, digits"),
        ("3d-layers", "Python identifier"),
        ("class", "that is not a keyword"),
        ("Import", "that is not a keyword"),
        ("keras", "the name of an installed module"),
        ("Keras", "the name of an installed module"),
        ("layerzoo", "the name of an installed module"),
        ("layerzoo.entry", "the name of an installed module"),
        ("json", "the name of an installed module"),
        ("tests", "which are folders next to it"),
    ],
)
def test_a_bad_name_is_refused_before_anything_is_written(
    name, rule, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    for out in ([], ["--out", "folder"]):
        assert main(["new", *out, "--", name]) == 2
        told = capsys.readouterr().err
        assert told.startswith("layerzoo: error: The name of a package must ")
        assert rule in told
        assert f"Received: {name!r}" in told
        assert "Traceback" not in told
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_holds_something_is_left_alone(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my-layers").mkdir()
    (tmp_path / "my-layers" / "notes.txt").write_text("mine")
    (tmp_path / "file").write_text("mine too")
    for arguments in (["my-layers"], ["other", "--out", "my-layers"], ["other", "--out", "file"]):
        before = tree(tmp_path)
        assert main(["new", *arguments]) == 2
        assert re.fullmatch(
            r"layerzoo: error: The folder of a new plug-in must be new or empty\. Received: '.*'\n",
            capsys.readouterr().err,
        )
        assert tree(tmp_path) == before


def test_an_empty_folder_will_do(tmp_path):
    scaffold.new("my-layers", tmp_path)
    assert (tmp_path / "pyproject.toml").is_file()


@pytest.mark.proof
@pytest.mark.skipif(
    not (find_spec("pip") and find_spec("hatchling")),
    reason="pip and hatchling are needed to build packages: pip install 'layerzoo[dev]'",
)
def test_a_new_package_installs_is_listed_gets_its_page_and_passes_its_tests(tmp_path):
    """In a fresh environment with layerzoo and the plug-in as packages, untouched.

    Only what they depend on comes from the environment of this test, so that no network is asked.
    """
    venv.create(tmp_path / "fresh")
    bin = tmp_path / "fresh" / ("Scripts" if os.name == "nt" else "bin")
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")}
    environment |= {"PIP_NO_INDEX": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}

    def run(*command, cwd=tmp_path):
        done = subprocess.run(
            [str(part) for part in command],
            cwd=cwd,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def install(folder):
        pip = [sys.executable, "-m", "pip"]
        wheels = tmp_path / f"wheels-of-{folder.name}"
        run(*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", wheels, folder)
        run(*pip, "--python", bin / "python", "install", "--no-deps", *wheels.iterdir())

    install(ROOT)
    run(bin / "layerzoo", "new", "my-layers")
    plug_in = tmp_path / "my-layers"
    written = tree(plug_in)
    install(plug_in)

    installed = run(
        bin / "python",
        "-P",
        "-c",
        "import sysconfig; from importlib.util import find_spec\n"
        "print(sysconfig.get_path('purelib'))\n"
        "for name in ('layerzoo', 'my_layers'): print(find_spec(name).origin)",
    ).split("\n")
    assert all(origin.startswith(f"{installed[0]}{os.sep}") for origin in installed[1:3])
    dependencies = [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]
    (Path(installed[0]) / "dependencies.pth").write_text("\n".join(dependencies) + "\n")

    assert re.search(r"^my_layers\n +Affine ", run(bin / "layerzoo", "list", "my_layers"), re.M)

    run(bin / "layerzoo", "docs", "--package", "my_layers", cwd=plug_in)
    page = (plug_in / "docs" / "layers" / "affine.md").read_text(encoding="utf-8")
    assert "# Affine\n" in page
    links = re.findall(r"\]\((?!https://arxiv)([^)]*)\)", page)
    assert links == ["affine.svg", "affine.trace.svg"]
    assert (plug_in / "docs" / "layers" / "affine.svg").read_text().startswith("<svg ")

    report = run(bin / "python", "-P", "-m", "pytest", cwd=plug_in)
    assert int(re.search(r"(\d+) passed", report)[1]) > 30, report
    checked = run(bin / "layerzoo", "check", "Affine", "--profile", "smoke", cwd=plug_in)
    assert "Affine" in checked
    assert {name: (plug_in / name).read_text(encoding="utf-8") for name in written} == written
