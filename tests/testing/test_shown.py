"""What a failure shows fails on the broken layer it is about, and passes on sound ones."""

import ast
import sys
import types
import warnings

import pytest

from layerzoo.tensors import compat
from layerzoo.testing import PROPERTIES, Case, NotApplicable, Sample, check_property, check_sample
from layerzoo.testing.engine.ledger import due
from layerzoo.testing.engine.programs import snippet
from layerzoo.testing.engine.run import profile_named
from layerzoo.testing.engine.samples import deck
from layerzoo.testing.engine.token import Token
from layerzoo.testing.proof.broken import BROKEN, SOUND

pytestmark = pytest.mark.proof
THOROUGH = profile_named(None) in ("ci", "deep")
SHOWN = [each for each in PROPERTIES.values() if each.program]
assert len(SHOWN) > 60


@pytest.fixture
def show(tmp_path, monkeypatch):
    """Runs a snippet as a new process would, but for what is imported already."""

    def show(code):
        module = types.ModuleType("shown")
        monkeypatch.setitem(sys.modules, "shown", module)
        with compat.undisturbed(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # as a reader's own process does
            exec(compile(code, "<shown>", "exec"), vars(module))

    monkeypatch.chdir(tmp_path)  # some snippets save a file
    return show


@pytest.mark.parametrize(
    "broken",
    [each for each in BROKEN if PROPERTIES[each.kill] in SHOWN],
    ids=lambda broken: f"{broken.kill}-{broken.card.name}",
)
def test_what_is_shown_fails_on_the_broken_layer(broken, show):
    if compat.BACKEND in broken.sound_on:
        pytest.skip(f"no defect on {compat.BACKEND}")
    shown = PROPERTIES[broken.kill]
    if shown.cost == "long" and not THOROUGH:
        pytest.skip("takes long")
    result = check_property(broken.card, shown, "ci" if shown.cost == "long" else "smoke")
    if not result.token:
        pytest.skip("no sample refutes the claim, so that none can show it")
    code = snippet(Case(broken.card, Token.parse(result.token).sample), shown.program)
    with pytest.raises(Exception) as caught:  # noqa: PT011  a layer may raise anything
        show(code)
    assert not isinstance(caught.value, NameError | ImportError | SyntaxError), code


@pytest.mark.parametrize("card", SOUND, ids=lambda card: card.name)
def test_what_is_shown_passes_on_a_sound_layer(card, show, pytestconfig):
    """Each run tries a quarter of the programs, as of the known results, and the next run another."""
    ours = pytestconfig.pluginmanager.get_plugin("layerzoo-ledger")
    *_, moved = deck(card, 2)  # every argument is off its default
    case = Case(card, moved)
    for shown in SHOWN:
        if not ours.everything and not due(card.name, shown.id, ours.turn):
            continue
        if shown.cost in ("dear", "long") and not THOROUGH:
            continue  # compiling all of them takes minutes
        code = snippet(case, shown.program)
        try:
            outcome = check_sample(card, shown, moved)
            if outcome.shown is None:  # else the claim is that it fails on some sample
                show(code)
        except NotApplicable:
            continue
        except Exception as error:
            raise AssertionError(f"{shown.id} accuses a sound layer:\n{code}") from error


@pytest.mark.parametrize("card", SOUND, ids=lambda card: card.name)
def test_a_snippet_imports_only_keras_its_backend_numpy_and_the_layer(card):
    backends = {"jax", "tensorflow", "torch"}  # without which nothing is traced
    allowed = {"keras", "numpy", card.layer.__module__, *backends, *sys.stdlib_module_names}
    for shown in SHOWN:
        code = snippet(Case(card, Sample()), shown.program)
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.Import):
                assert {name.name for name in node.names} <= allowed, code
            if isinstance(node, ast.ImportFrom):
                assert node.module in allowed or node.module.startswith("keras."), code
