"""The ledger: a key turns with what its result depends on, and nothing hides behind a known result."""

import functools
import json
import re
import shutil
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import get_args

import keras
import pytest

import layerzoo
from layerzoo import DropPath, catalogue, measured
from layerzoo.catalogue import Card
from layerzoo.tensors import compat
from layerzoo.testing import PROFILES, PROPERTIES, Fact, Property
from layerzoo.testing.engine import ledger, run
from layerzoo.testing.engine.ledger import Ledger, Sources, due
from layerzoo.testing.engine.report import Status
from layerzoo.testing.front import commands
from layerzoo_entry.cli import main
from layerzoo_entry.pytest_ledger import KnownResults

pytest_plugins = ["pytester"]

HOME = Path(layerzoo.__file__).parent
OURS = {
    name: card
    for name, card in catalogue().items()
    if card.layer.__module__.startswith("layerzoo.")
}
DROP_PATH = OURS["DropPath"]
SOURCES = Sources()
SHARED = [
    str(path.relative_to(HOME))
    for folder in ("ops", "building")
    for path in sorted((HOME / folder).glob("[a-z]*.py"))
]


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """A copy of layerzoo to edit."""
    copy = tmp_path_factory.mktemp("tree") / "layerzoo"
    shutil.copytree(HOME, copy, ignore=shutil.ignore_patterns("__pycache__"))
    return copy


def keys_of(sources, cards=OURS, backend="jax", profile="smoke"):
    ours = Ledger(Path("nowhere"), sources)
    return {
        (name, identity): ours.key(card, each, backend, profile)
        for name, card in cards.items()
        for identity, each in PROPERTIES.items()
    }


@pytest.fixture(scope="module")
def today(tree):
    return keys_of(Sources(tree))


@pytest.fixture
def edited(tree):
    """Appends to a file of the copy, and gives the keys that turned; afterwards the file is as it was."""
    before = {}

    def edited(file, text="\n# an edit\n", **of):
        path = tree / file
        before.setdefault(path, path.read_text(encoding="utf-8"))
        path.write_text(before[path] + text, encoding="utf-8")
        return keys_of(Sources(tree), **of)

    yield edited
    for path, text in before.items():
        path.write_text(text, encoding="utf-8")


def turned(today, now):
    """The layers and the properties of the keys that are others now."""
    changed = [pair for pair, key in now.items() if key != today[pair]]
    return {name for name, _ in changed}, {identity for _, identity in changed}


@functools.cache
def used_at_once(module):
    """What a module uses of layerzoo itself, by the objects in it and by the examples in its text."""
    names = {
        value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None)
        for value in vars(sys.modules[module]).values()
    }
    text = Path(sys.modules[module].__file__).read_text(encoding="utf-8")
    for example in re.findall("```python(.*?)```", text, re.DOTALL):
        words = re.findall(r"\w+", example)
        names |= {card.layer.__module__ for card in OURS.values() if card.name in words}
    return {name for name in names if str(name).startswith("layerzoo.")}


def used(*modules):
    """What modules use of layerzoo, directly or through others: found at run time, as no key is."""
    found, left = set(), set(modules)
    while left:
        found.add(module := left.pop())
        left |= used_at_once(module) - found
    return found


@functools.cache
def users_of(file):
    """The layers that use a file, or whose cards do."""
    module = "layerzoo." + file.removesuffix(".py").replace("/", ".")
    users = set()
    for name, card in OURS.items():
        package, _, stem = card.layer.__module__.rpartition(".")
        if module in used(card.layer.__module__, f"{package}.cards.{stem}"):
            users.add(name)
    return users


def test_every_check_of_ours_has_a_key_of_its_own(today):
    assert None not in today.values()
    assert len(set(today.values())) == len(OURS) * len(PROPERTIES)


@pytest.mark.parametrize("file", SHARED)
def test_an_edit_of_what_layers_share_turns_the_keys_of_the_layers_that_use_it(file, today, edited):
    layers, properties = turned(today, edited(file))
    assert layers == users_of(file)
    assert properties == set(PROPERTIES)


def test_layers_that_use_what_is_edited_are_found_and_others_are_not():
    assert "WindowAttention" in users_of("ops/windows.py")
    assert "WindowAttention" in users_of("ops/attention_blocks.py"), "through another file"
    assert "GatedMLP" in users_of("building/sublayers.py")
    assert "Residual" in users_of("gated/gated_mlp.py"), "an example in its docstring"
    for file in ("ops/windows.py", "ops/attention_blocks.py", "building/sublayers.py"):
        assert "DropPath" not in users_of(file)


@pytest.mark.parametrize("file", ["gated/gated_mlp.py", "gated/cards/gated_mlp.py"])
def test_an_edit_of_a_layer_or_its_card_turns_its_keys(file, today, edited):
    layers, properties = turned(today, edited(file))
    assert "GatedMLP" in layers
    assert layers == users_of(file)
    assert properties == set(PROPERTIES)


@pytest.mark.parametrize(
    "file",
    [
        *(
            f"testing/engine/{name}.py"
            for name in ("run", "case", "samples", "comparison", "register")
        ),
        "tensors/compat.py",
        "tensors/outcomes.py",
    ],
)
def test_an_edit_of_the_engine_turns_every_key(file, today, edited):
    assert turned(today, edited(file)) == (set(OURS), set(PROPERTIES))


@pytest.mark.parametrize("group", ["shape", "build", "randomness", "dropin"])
def test_an_edit_of_a_property_turns_the_keys_of_its_module_alone(group, today, edited):
    layers, properties = turned(today, edited(f"testing/properties/{group}.py"))
    assert layers == set(OURS)
    assert properties == {each.id for each in PROPERTIES.values() if each.group == group}


def test_an_edit_of_a_property_turns_the_keys_of_those_that_import_it(today, edited):
    _, properties = turned(today, edited("testing/properties/numerics.py"))
    groups = {PROPERTIES[identity].group for identity in properties}
    assert {"numerics", "states"} <= groups, "`states` compares with what `numerics` does"
    assert "shape" not in groups


@pytest.mark.parametrize(
    "file", ["testing/front/report_files.py", "cookbook/bench.py", "cli.py", "measured.py"]
)
def test_an_edit_of_what_no_check_uses_turns_no_key(file, today, edited):
    assert turned(today, edited(file)) == (set(), set())


def test_a_new_layer_in_a_family_turns_no_key(today, edited):
    line = "\nfrom layerzoo.gated.gated_mlp import GatedMLP as Another\n\n__all__ = ['Another']\n"
    assert turned(today, edited("gated/__init__.py", line)) == (set(), set())


def test_what_a_package_does_when_it_is_imported_counts(today, edited):
    layers, _ = turned(today, edited("ops/__init__.py", "\nprint()\n"))
    assert layers == set().union(*(users_of(file) for file in SHARED if file.startswith("ops")))
    assert turned(today, edited("__init__.py", "\nprint()\n"))[0] == set(OURS)


@pytest.mark.parametrize(
    "text",
    [
        "\nfrom layerzoo.ops.arguments import probability as again\n",
        "\nimport layerzoo.nowhere\n",
        "\ndef (:\n",
        '\n"""\n```python\ndef (:\n```\n"""\n',
    ],
    ids=["an old place", "no file", "no Python", "an example that is no Python"],
)
def test_what_cannot_be_read_gives_no_key(text, edited):
    assert set(edited("residual/drop_path.py", text, cards={"DropPath": DROP_PATH}).values()) == {
        None
    }


def test_forms_of_imports(tmp_path):
    files = {
        "zoo/__init__.py": "from zoo.family import Layer as Shown\n",
        "zoo/family/__init__.py": "from .layer import Layer\nfrom zoo.family.other import Other\n",
        "zoo/family/layer.py": "from ..ops import (\n    one,\n)\n",
        "zoo/family/other.py": "def f():\n    import zoo.ops.two as two\n",
        "zoo/ops/__init__.py": "",
        "zoo/ops/one.py": "import numpy\n",
        "zoo/ops/two.py": "",
        "zoo/a.py": "from zoo import Shown\n",
        "zoo/b.py": "from zoo.family import other\n",
        "zoo/c.py": "from zoo.family import *\n",
        "zoo/d.py": "import zoo.family\n",
        "zoo/e.py": '"""\n    ```python\n    from zoo import (\n        Shown,\n    )\n    ```\n"""\n',
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def uses(module):
        found = Sources(tmp_path / "zoo").closure([f"zoo.{module}"])
        return {name.removeprefix("zoo.") for name in found if "__init__" not in name} - {module}

    assert uses("a") == uses("e") == {"family.layer", "ops.one"}
    assert uses("b") == {"family.other", "ops.two"}
    assert (
        uses("c") == uses("d") == {"family", "family.layer", "family.other", "ops.one", "ops.two"}
    )


def turned_by(package, monkeypatch):
    """The properties whose key on JAX another version of a package turns."""
    before = keys_of(SOURCES, {"DropPath": DROP_PATH})
    if package == "python":
        monkeypatch.setattr(ledger.platform, "python_version_tuple", lambda: ("3", "99", "0"))
    elif package == "keras":
        monkeypatch.setattr(keras, "__version__", "99.0")
    else:
        known = ledger.version
        monkeypatch.setattr(
            ledger, "version", lambda name: "99.0" if name == package else known(name)
        )
    return turned(before, keys_of(SOURCES, {"DropPath": DROP_PATH}))[1]


@pytest.mark.parametrize("package", ["python", "keras", *ledger.ALWAYS, "jax", "jaxlib"])
def test_another_version_turns_every_key(package, monkeypatch):
    assert turned_by(package, monkeypatch) == set(PROPERTIES)


@pytest.mark.parametrize("package", ["tensorflow", "torch"])
def test_another_version_of_another_backend_turns_what_compares_backends(package, monkeypatch):
    assert turned_by(package, monkeypatch) == set(ledger.COMPARES)


def test_another_backend_or_profile_turns_every_key():
    cards = {"DropPath": DROP_PATH}
    pairs = [(backend, profile) for backend in ledger.PACKAGES for profile in PROFILES]
    found = [keys_of(SOURCES, cards, backend=b, profile=p).values() for b, p in pairs]
    assert len({key for keys in found for key in keys}) == len(pairs) * len(PROPERTIES)


def test_layers_and_properties_of_others_have_no_key():
    class Mine(DropPath):
        """A layer of somebody else's."""

    foreign = Property("acme.p", "p", "acme", "must", "cheap", "It holds.", lambda case: None)
    ours = Ledger(Path("nowhere"), SOURCES)
    each = PROPERTIES["S1"]
    assert ours.key(DROP_PATH, each, "jax", "smoke")
    assert ours.key(replace(DROP_PATH), each, "jax", "smoke") is None, "another card of the layer"
    assert ours.key(Card(Mine, "b t d"), each, "jax", "smoke") is None
    assert ours.key(DROP_PATH, foreign, "jax", "smoke") is None


def written(folder, status="passed", profile="smoke", identities=PROPERTIES):
    """A ledger that says of every property of `DropPath` that it came out in one way."""
    results = {
        identity: {compat.BACKEND: {"status": status, "samples": 2}} for identity in identities
    }
    found = {"profile": profile, "results": results}
    Ledger(folder, SOURCES).sign(found, DROP_PATH)
    measured.write(folder, "verified", "DropPath", found)
    return found


def known(folder, profile="smoke", among=PROPERTIES):
    ours = Ledger(folder, SOURCES)
    return {identity for identity in among if ours.knows(DROP_PATH, PROPERTIES[identity], profile)}


@pytest.mark.parametrize("status", ledger.KNOWN)
def test_a_good_result_is_known(status, tmp_path):
    written(tmp_path, status)
    assert known(tmp_path) == set(PROPERTIES)


@pytest.mark.parametrize("status", sorted({*get_args(Status), "not_checked", ""} - {*ledger.KNOWN}))
def test_a_result_that_is_not_good_is_never_known(status, tmp_path):
    found = written(tmp_path)
    for by_backend in found["results"].values():
        by_backend[compat.BACKEND]["status"] = status  # with the key of a good one
    measured.write(tmp_path, "verified", "DropPath", found)
    assert known(tmp_path) == set()
    assert "key" not in json.dumps(written(tmp_path, status)), "it is given none in the first place"


def test_a_result_with_the_key_of_another_check_is_not_known(tmp_path):
    found = written(tmp_path)
    entries = [by_backend[compat.BACKEND] for by_backend in found["results"].values()]
    keys = [entry["key"] for entry in entries]
    for entry, key in zip(entries, keys[1:] + keys[:1], strict=True):
        entry["key"] = key
    measured.write(tmp_path, "verified", "DropPath", found)
    assert known(tmp_path) == set()


def test_a_result_of_a_profile_counts_for_those_whose_samples_it_tries(tmp_path):
    profiles, some = ("smoke", "dev", "pages", "ci"), ("S1", "C1", "G1")
    tried = {(profile, identity): set() for profile in profiles for identity in some}
    for (profile, identity), seen in tried.items():

        def look(case, seen=seen):
            seen.add(case.sample)
            yield Fact(True, "a check that compares nothing does not count")

        each = replace(PROPERTIES[identity], check=look)
        assert run.check_property(DROP_PATH, each, profile).status == "passed"
    for written_at in profiles:
        written(tmp_path, profile=written_at)
        for profile in profiles:
            for identity in known(tmp_path, profile, some):
                assert tried[profile, identity] <= tried[written_at, identity]
    written(tmp_path, profile="dev")
    assert known(tmp_path, "smoke", some) == set(some)
    assert known(tmp_path, "ci", some) == set()


def test_what_may_come_from_a_further_sample_counts_for_its_own_profile_alone(tmp_path):
    refutable = [identity for identity, each in PROPERTIES.items() if each.never]
    assert refutable
    written(tmp_path, profile="dev")
    assert known(tmp_path, "smoke", refutable) == set()
    assert known(tmp_path, "dev", refutable) == set(refutable)
    for status in ("expected_failure", "expected_inconclusive"):
        written(tmp_path, status, profile="dev")
        assert known(tmp_path, "dev") == set(PROPERTIES)
        assert known(tmp_path, "smoke") == set()


def test_the_profile_of_a_result_is_in_its_key(tmp_path):
    found = written(tmp_path, profile="dev")
    for profile in ("smoke", "ci", "nowhere"):
        measured.write(tmp_path, "verified", "DropPath", {**found, "profile": profile})
        assert known(tmp_path, "smoke") == set()


HOSTILE = '__import__("pathlib").Path("ran").touch()'


@pytest.mark.parametrize(
    "content",
    [
        None,
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"profile": "smoke", "results": 3}',
        b'{"profile": "smoke", "results": {"S1": []}}',
        b'{"results": {"S1": {"%b": {"status": "passed", "key": "0"}}}}',
        b'{"profile": [], "results": {"S1": {"%b": {"status": "passed", "key": "0"}}}}',
        b'{"profile": "smoke", "results": {"S1": {"%b": {"status": "passed", "key": null}}}}',
        b'{"profile": "smoke", "results": {"S1": {"%b": {"status": ["passed"], "key": {}}}}}',
        HOSTILE.encode(),
        b'cpathlib\nPath\n(S"ran"\ntR.',
    ],
)
def test_a_ledger_that_is_missing_or_damaged_knows_nothing(content, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if content is not None:
        path = measured.path_of(tmp_path, "verified", "DropPath")
        path.parent.mkdir()
        path.write_bytes(content.replace(b"%b", compat.BACKEND.encode()))
    assert known(tmp_path) == set()
    # without a key of its own a check must not be known by an absent one
    monkeypatch.setattr(Ledger, "key", lambda *_: None)
    assert known(tmp_path) == set()
    assert not Path("ran").exists()


@pytest.mark.parametrize("first", [0, 5, 1_234])
def test_in_four_turns_each_known_result_is_checked_once(first):
    pairs = [(name, id) for name in OURS for id in PROPERTIES]
    turns = [sum(due(name, id, first + turn) for turn in range(4)) for name, id in pairs]
    assert set(turns) == {1}
    shares = Counter(turn for turn in range(4) for pair in pairs if due(*pair, turn))
    assert all(0.2 < share / len(pairs) < 0.3 for share in shares.values())


TESTS = """
from layerzoo import catalogue
from layerzoo.testing import parametrize_with_checks

@parametrize_with_checks([catalogue()["DropPath"]], only=["S*"])
def test_contract(check):
    check()
"""


@pytest.fixture
def project(pytester, monkeypatch):
    """Runs pytest in a project with a ledger; gives the outcomes and the line of the summary."""
    monkeypatch.setenv("LAYERZOO_PROFILE", "smoke")  # what an option writes over is put back
    monkeypatch.delenv("LAYERZOO_TURN", raising=False)
    pytester.makeini("[pytest]\nlayerzoo_ledger = measured\n")
    pytester.makepyfile(test_every_layer=TESTS)

    def run(*arguments):
        done = pytester.runpytest_inprocess("-rfs", *arguments)
        (line,) = [line for line in done.outlines if line.startswith("ledger: ")]
        return done, line

    run.folder = pytester.path / "measured"
    run.demanded = [each for each in PROPERTIES.values() if each.id.startswith("S")]
    return run


def skipped(done):
    return sum(
        int(n) for n in re.findall(r"SKIPPED \[(\d+)\].*: as the ledger says", done.stdout.str())
    )


def test_without_an_entry_everything_is_checked(project):
    done, line = project()
    assert line == f"ledger: checked now {len(project.demanded)} of {len(project.demanded)}"
    assert skipped(done) == 0


def test_a_known_result_is_skipped_and_never_counted_as_passed(project):
    written(project.folder)
    waits = [each for each in project.demanded if not due(DROP_PATH.name, each.id, 7)]
    now, total = len(project.demanded) - len(waits), len(project.demanded)
    done, line = project("--layerzoo-turn", "7")
    assert line == (
        f"ledger: checked now {now} of {total}, the rest as the ledger says; {now} of the {now} are known "
        "and were checked anyway, by --layerzoo-turn 7"
    )
    assert skipped(done) == len(waits)
    outcomes = done.parseoutcomes()
    assert outcomes.get("passed", 0) + outcomes["skipped"] - len(waits) == now
    done, line = project("--layerzoo-all")
    assert line == f"ledger: checked now {total} of {total}"
    assert skipped(done) == 0


def test_only_a_project_that_names_a_ledger_skips(project, pytester):
    written(project.folder)
    pytester.makeini("[pytest]\n")
    done = pytester.runpytest_inprocess("-rs")
    assert "ledger: " not in done.stdout.str()
    assert skipped(done) == 0
    assert done.parseoutcomes().get("passed", 0) > 0
    pytester.makeini("[pytest]\nlayerzoo_ledger = measured\n")
    (pytester.path / "test_every_layer.py").unlink()
    done = pytester.runpytest_inprocess("--layerzoo", "DropPath", "--layerzoo-only", "S*")
    assert done.parseoutcomes().get("passed", 0) > 0, "who names a target has it checked"
    assert "ledger: " not in done.stdout.str()
    assert skipped(done) == 0


@pytest.fixture
def forged(project, monkeypatch):
    """A layer that no longer keeps S1, while the ledger says that it passed, with the right key."""
    monkeypatch.setattr(DropPath, "compute_output_shape", lambda self, input_shape: (1, 2, 3))
    written(project.folder)
    return project


def test_a_forged_entry_is_found_in_at_most_four_runs(forged):
    found = []
    for _ in range(4):
        done, _ = forged()
        failed = [line for line in done.outlines if line.startswith("FAILED")]
        assert done.stdout.str().count("says that this check was good") == len(failed)
        found.append(any("DropPath-S1.shape_static" in line for line in failed))
    assert sum(found) == 1


def test_without_the_quarter_a_forged_entry_is_never_found(forged, monkeypatch):
    monkeypatch.setattr(ledger, "due", lambda *_: False)
    for _ in range(4):
        done, line = forged()
        assert done.ret == 0
        assert line.startswith("ledger: checked now 0 of ")
    done, _ = forged("--layerzoo-all")
    assert done.ret == 1


def test_the_turn_is_asked_for_or_moves_on(project, monkeypatch, pytester):
    written(project.folder)
    turn = lambda *arguments: int(project(*arguments)[1].rpartition(" ")[2])  # noqa: E731
    first = turn()
    assert [turn(), turn()] == [first + 1, first + 2]
    monkeypatch.setenv("KERAS_BACKEND", "another")  # each backend has turns of its own
    assert turn() == first
    monkeypatch.setenv("LAYERZOO_TURN", "40")
    assert turn() == 40
    assert turn("--layerzoo-turn", "50") == 50
    monkeypatch.setenv("LAYERZOO_TURN", "-1")
    done = pytester.runpytest_inprocess()
    assert done.ret == 4
    done.stderr.fnmatch_lines(["ERROR: LAYERZOO_TURN must be an integer*"])


def test_a_process_of_xdist_takes_the_turn_of_its_owner(pytester):
    owner = pytester.parseconfig("--layerzoo-turn", "9")
    node = SimpleNamespace(workerinput={})
    KnownResults(owner, "measured").pytest_configure_node(node)
    worker = pytester.parseconfig()
    worker.workerinput = node.workerinput
    assert KnownResults(worker, "measured").turn == 9


@pytest.mark.parametrize("changed", [False, True])
def test_check_writes_keys_unless_the_source_changed_meanwhile(
    changed, tmp_path, monkeypatch, capsys
):
    read = iter([Sources(), Sources()])

    def sources():
        now = next(read)
        if changed:
            now.texts["layerzoo.cli"] += f"# {id(now)}\n"
        return now

    monkeypatch.setattr(commands, "Sources", sources)
    command = ["check", "DropPath", "--only", "S1", "--profile", "smoke"]
    assert main([*command, "--measured", str(tmp_path)]) == 0
    entry = measured.read(tmp_path, "verified", "DropPath")["results"]["S1"][compat.BACKEND]
    each = PROPERTIES["S1"]
    expected = Ledger(tmp_path, SOURCES).key(DROP_PATH, each, compat.BACKEND, "smoke")
    assert entry.get("key") == (None if changed else expected)
    assert known(tmp_path) == (set() if changed else {"S1"})
    assert ("changed during the run" in capsys.readouterr().out) == changed
