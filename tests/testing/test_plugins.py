"""Properties of others: what an entry point declares is checked, and what it spoils is left out."""

import os
import re
import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import keras
import pytest

from layerzoo import Card, GatedMLP, Traits
from layerzoo.testing import PROPERTIES, check_layer, declare, select
from layerzoo.testing.engine.register import GROUP, load

GUIDE = Path(__file__).parents[2] / "docs" / "guide" / "plugins.md"
SOUND = '''
from layerzoo.testing import Fact, declare


@declare("{id}")
def {name}(case):
    """The outputs are there."""
    yield Fact(case.run(case.built(), case.arrays()), "there are no outputs")
'''


@pytest.fixture
def plug_in(tmp_path, monkeypatch):
    """Writes a module and gives its entry point; afterwards the register is what it was."""
    before = dict(PROPERTIES)
    monkeypatch.syspath_prepend(tmp_path)
    modules = []

    def plug_in(module, text):
        modules.append(module)
        (tmp_path / f"{module}.py").write_text(text, encoding="utf-8")
        return EntryPoint(module.removesuffix("_properties"), module, GROUP)

    yield plug_in
    PROPERTIES.clear()
    PROPERTIES.update(before)
    for module in modules:
        sys.modules.pop(module, None)


class Doubling(keras.layers.Layer):
    """Twice its input, or more than that."""

    def __init__(self, more=0.0, **kwargs):
        super().__init__(**kwargs)
        self.more = more

    def call(self, inputs):
        return 2 * inputs + self.more


def card(**changes):
    return Card(layer=Doubling, inputs="b d", traits=Traits(dynamic="b d"), **changes)


def test_the_property_of_the_guide_holds_fails_and_does_not_apply(plug_in):
    blocks = re.findall(r"```py\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    (code,) = (block for block in blocks if "@declare(" in block)
    assert load([plug_in("acme_properties", code)]) == []
    (found,) = select("acme")
    assert (found.id, found.name, found.group) == ("acme.scaling", "scaling", "acme")
    assert (found.tier, found.cost) == ("trait", "cheap")

    def status(card):
        (result,) = check_layer(card, profile="smoke", only=["acme.scaling"]).results
        return result.status, result.samples

    assert status(card(tags=["linear"])) == ("passed", 2)
    assert status(card()) == ("not_applicable", 0)
    shifted = card(tags=["linear"], configs=lambda pick: dict(more=pick([1.0, 2.0])))
    assert status(shifted) == ("failed", 1)
    report = check_layer(GatedMLP(8), inputs=(2, 4), profile="smoke", only=["S1", "acme.*"])
    assert report.ok
    assert report.demanded == ("S1", "acme.scaling")


def test_the_program_of_the_guide_is_shown_beside_the_failure(plug_in, tmp_path):
    blocks = re.findall(r"```py\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    code, program = (
        next(b for b in blocks if word in b) for word in ("@declare(", ".shown import")
    )
    (tmp_path / "shown").mkdir()
    (tmp_path / "shown" / "acme.scaling.py").write_text(program, encoding="utf-8")
    assert load([plug_in("acme_properties", code)]) == []
    shifted = card(tags=["linear"], configs=lambda pick: dict(more=pick([1.0, 2.0])))
    (result,) = check_layer(shifted, profile="smoke", only=["acme.scaling"]).results
    assert "assert abs(doubled[0] - 2 * once[0]).max() < 1e-4" in result.failure.program
    assert "def built(" in result.failure.program
    assert "layerzoo.testing" not in result.failure.program


SPOILT = {
    "raises": ("\nraise OSError('no licence')\n", "OSError: no licence"),
    "known": (SOUND.format(id="acme.fine", name="other"), "must be new. Received: id='acme.fine'"),
    "ours": (SOUND.format(id="G1", name="other"), "must be new. Received: id='G1'"),
    "bare": (
        SOUND.format(id="Z9", name="other"),
        "your own prefix, as in `acme.scaling`. Rece",
    ),
    "empty": (SOUND.format(id=".fine", name="other"), "joined by dots, beginning with your own"),
    "cost": (
        SOUND.format(id="acme.cost", name="other").replace('cost"', 'cost", cost="free"'),
        "`cost` must be one of ('cheap', 'fair', 'dear', 'long'). Received: cost='free'",
    ),
    "tier": (
        SOUND.format(id="acme.tier", name="other").replace('tier"', 'tier", tier="may"'),
        "`tier` must be one of ('must', 'should', 'trait'). Received: tier='may'",
    ),
    "returns": (
        SOUND.format(id="acme.returns", name="other").replace("yield", "return"),
        "must yield what it compares",
    ),
    "claim": (
        SOUND.format(id="acme.claim", name="other").replace('claim"', 'claim", claim="fast"'),
        "Received: claim='fast'",
    ),
    "silent": (
        SOUND.format(id="acme.silent", name="other").replace('"""The outputs are there."""', ""),
        "must have a docstring, because its first line is the statement. Received: other without one",
    ),
}
SPOILT |= {
    "exits": ("\nraise SystemExit(3)\n", "left out: SystemExit: 3"),
    "interrupts": ("\nraise KeyboardInterrupt\n", "left out: KeyboardInterrupt: without"),
    "coloured": ("\nraise OSError('\\x1b[2J')\n", r"OSError: \x1b[2J"),
    "hint": (
        SOUND.format(id="acme.hint", name="other").replace('hint"', 'hint", hint=5'),
        "`hint` must be text. Received: hint=5",
    ),
    "clears": (
        "\nfrom layerzoo.testing import PROPERTIES\nPROPERTIES.clear()\n",
        "must add properties by `declare`, and change no others. Received: ['C1', '",
    ),
    "replaces": (
        "\nfrom layerzoo.testing import PROPERTIES\nPROPERTIES['G1'] = PROPERTIES['G2']\n",
        "change no others. Received: ['G1'] changed",
    ),
    "inserts": (
        "\nfrom layerzoo.testing import PROPERTIES\nPROPERTIES['acme.x'] = 5\n",
        "change no others. Received: ['acme.x'] changed",
    ),
}


@pytest.mark.parametrize("kind", SPOILT)
def test_a_plug_in_with_a_spoilt_property_is_named_and_left_out_whole(kind, plug_in):
    more, reason = SPOILT[kind]
    before = dict(PROPERTIES)
    spoilt = plug_in("spoilt_properties", SOUND.format(id="acme.fine", name="fine") + more)
    good = plug_in("good_properties", SOUND.format(id="good.fine", name="fine"))
    (problem,) = load([spoilt, good])
    assert problem.startswith(
        "The properties of the plug-in 'spoilt' (spoilt_properties) could not"
    )
    assert reason in problem
    assert set(PROPERTIES) - set(before) == {"good.fine"}
    assert before.items() <= PROPERTIES.items()


WILD = """
import os
import numpy as np
from layerzoo.testing import declare

class Unreadable(Exception):
    def __str__(self):
        raise SystemExit(4)

@declare("acme.wild")
def wild(case):
    \"""It does what it likes.\"""
    {does}
    yield
"""


@pytest.mark.parametrize(
    ("does", "said"),
    [
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt: "),
        ("raise Unreadable", "Unreadable: (it has no readable message)"),
        ("yield np.zeros(2)", "must yield comparisons. Received: array([0., 0.]) from acme.wild"),
    ],
)
def test_whatever_a_property_does_is_a_failure_of_its_own(does, said, plug_in):
    assert load([plug_in("acme_properties", WILD.format(does=f"os.chdir('/'); {does}"))]) == []
    here = os.getcwd()
    report = check_layer(card(), profile="smoke", only=["acme.wild", "S1"])
    by_id = {each.id: each for each in report.results}
    assert (by_id["S1"].status, by_id["acme.wild"].status) == ("passed", "failed")
    assert said in by_id["acme.wild"].message
    assert os.getcwd() == here


def test_ctrl_c_in_a_property_stops_the_run(plug_in):
    code = "import signal; signal.raise_signal(signal.SIGINT)"
    load([plug_in("acme_properties", WILD.format(does=code))])
    with pytest.raises(KeyboardInterrupt):
        check_layer(card(), profile="smoke", only=["acme.wild"])


def test_a_module_that_is_not_there_is_named():
    (problem,) = load([EntryPoint("absent", "no_such_module", GROUP)])
    assert problem.endswith("ModuleNotFoundError: No module named 'no_such_module'")


def test_outside_of_a_plug_in_an_id_needs_a_prefix_too():
    with pytest.raises(ValueError, match=r"words joined by dots.*Received: id='Z9'"):

        @declare("Z9")
        def nothing(case):
            """Nothing is claimed."""
            yield


@pytest.mark.proof  # a process
def test_installed_entry_points_are_read_and_a_broken_one_is_warned_of(tmp_path):
    """As `importlib.metadata` finds them: a module and a folder of metadata on the path."""
    for name, text in {
        "good": SOUND.format(id="good.fine", name="fine"),
        "broken": "raise OSError('no licence')",
    }.items():
        (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
        about = tmp_path / f"{name}-1.dist-info"
        about.mkdir()
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
        (about / "entry_points.txt").write_text(f"[{GROUP}]\n{name} = {name}\n")
    path = os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH")]))
    command = ["-m", "layerzoo", "check", "DropPath", "--profile", "smoke"]
    done = subprocess.run(
        [sys.executable, *command, "--only", "S1", "--only", "good"],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 of 2" in done.stdout
    assert (
        "RuntimeWarning: The properties of the plug-in 'broken' (broken) could not" in done.stderr
    )
    assert "'good'" not in done.stderr
