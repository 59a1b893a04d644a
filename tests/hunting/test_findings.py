"""Every finding can still be seen, and every result that is not good is explained by one."""

import builtins
import json
import re
import signal
import subprocess
import sys
import warnings

import keras
import pytest

from hunting.findings import BACKENDS, CLASSES, findings
from hunting.page import FOUND, PAGE, failures, render

pytestmark = pytest.mark.proof
FINDINGS = findings()
HERE = [each for each in FINDINGS if keras.backend.backend() in each.backends]


@pytest.mark.parametrize("finding", HERE, ids=lambda finding: finding.id)
def test_the_snippet_fails_as_claimed(finding):
    """A snippet that ends well says that the finding is gone, and is to be taken off the page."""
    if finding.raises.startswith("SIG"):
        ended = subprocess.run([sys.executable, "-c", finding.snippet], capture_output=True)
        assert ended.returncode == -getattr(signal, finding.raises)
        return
    expected = getattr(builtins, finding.raises, Exception)
    code = compile(finding.snippet, finding.id, "exec")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(expected) as caught:
            exec(code, {"__name__": "snippet"})
    assert finding.raises in ("Exception", type(caught.value).__name__)


@pytest.mark.parametrize("finding", FINDINGS, ids=lambda finding: finding.id)
def test_a_finding_is_well_formed(finding):
    assert finding.kind in CLASSES
    assert set(finding.backends) <= set(BACKENDS)
    assert re.fullmatch(r"[a-z0-9-]+", finding.id)
    imported = set(re.findall(r"^\s*(?:import|from) (\w+)", finding.snippet, re.MULTILINE))
    needed = {"torch"} if "TorchModuleWrapper" in finding.snippet else set()
    assert imported <= {"keras", "numpy"} | needed | sys.stdlib_module_names
    assert sum(each.id == finding.id for each in FINDINGS) == 1


def test_every_failure_is_explained_and_every_finding_explains_one():
    """A finding that covers nothing was made by hand: its snippet alone shows it."""
    failed = failures(json.loads(FOUND.read_text(encoding="utf-8")))
    explained = {key for each in FINDINGS for key in each.explains()}
    assert failed - explained == set()
    assert [each.id for each in FINDINGS if each.covers and not each.explains() & failed] == []


def test_the_page_is_fresh():
    assert PAGE.read_text(encoding="utf-8") == render()
