"""What is inconclusive fails a run, whatever its tier and wherever it is run, unless the card expects it."""

import json
from dataclasses import replace

import pytest

from layerzoo.catalogue import Card, catalogue
from layerzoo.tensors import compat
from layerzoo.testing import (
    PROPERTIES,
    Check,
    ConformanceError,
    Fact,
    Finding,
    Inconclusive,
    NotApplicable,
    Property,
    Sometimes,
    Violation,
    check_layer,
    check_property,
    select,
)
from layerzoo.testing.engine.run import PROFILES
from layerzoo.testing.front.report_files import write
from layerzoo.testing.front.runs import Run
from layerzoo.testing.proof.broken.dense import Sound
from layerzoo_entry.cli import main

pytestmark = pytest.mark.proof

pytest_plugins = ["pytester"]

LOST = ("L4", "M1", "M2", "M3")  # of tiers must, trait, trait and should
REASON = "this Keras has no masks"
CARD = catalogue()["SelfAttention"]
HERE = compat.BACKEND

MODULE = f"""
from dataclasses import replace
from layerzoo.catalogue import catalogue

card = catalogue()["SelfAttention"]
expects = replace(card, expected_inconclusive=dict.fromkeys({LOST}, {REASON!r}))
wrongly = replace(card, expected_inconclusive={{"S1": {REASON!r}}})
"""


@pytest.fixture
def without_masks(monkeypatch):
    """A Keras whose private functions for masks are gone."""

    def gone(name):
        raise Inconclusive(f"no {name}")

    monkeypatch.setattr(compat, "_masking", gone)


@pytest.fixture
def cards(tmp_path, monkeypatch, without_masks):
    """The name of a module with a card that expects what is lost, and one that does not."""
    (tmp_path / "cards_of_inconclusive.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return "cards_of_inconclusive"


def check(card, *ids):
    return check_layer(card, profile="smoke", only=ids)


@pytest.mark.parametrize("id", LOST)
def test_what_keras_no_longer_lets_us_see_fails_a_run(without_masks, id):
    report = check(CARD, id)
    assert report.counts() == {"inconclusive": 1}
    assert not report.ok
    with pytest.raises(ConformanceError, match=f"SelfAttention  {id} .*INCONCLUSIVE"):
        report.raise_on_failure()


@pytest.mark.parametrize("key", ["{}", "{}@{backend}"])
@pytest.mark.parametrize("id", LOST)
def test_the_card_may_expect_it_everywhere_or_on_one_backend(without_masks, id, key):
    expects = replace(
        CARD, expected_inconclusive={key.format(id, backend=HERE): REASON, "C1@elsewhere": "no"}
    )
    report = check(expects, id, "C1")
    assert report.counts() == {"expected_inconclusive": 1, "passed": 1}
    assert report.ok
    assert REASON in [result.message for result in report.results]
    report.raise_on_failure()


def test_an_expected_failure_does_not_expect_an_inconclusive_result(without_masks):
    report = check(replace(CARD, expected_failures={"M1": REASON}), "M1")
    assert report.counts() == {"inconclusive": 1}
    assert not report.ok


def test_another_backends_expectation_does_not_count(without_masks):
    assert not check(replace(CARD, expected_inconclusive={"M1@elsewhere": REASON}), "M1").ok


def test_what_was_expected_to_be_inconclusive_and_passes_or_fails_is_not_good():
    passes = check(replace(CARD, expected_inconclusive={"S1": REASON}), "S1")
    assert passes.counts() == {"unexpected_pass": 1}
    assert not passes.ok
    assert "expects it to be inconclusive: this Keras has no masks" in str(passes)
    fails = _of(
        {},
        Violation(Finding("wrong")),
        Violation(Finding("wrong")),
        expected_inconclusive={"x.y": REASON},
    )
    assert fails.status == "failed"


def _of(settings, *outcomes, **expected):
    """The result of a property that comes out so at the first, second ... sample."""
    remaining = list(outcomes)

    def comes_out(case):
        outcome = remaining.pop(0) if remaining else outcomes[-1]
        if isinstance(outcome, Exception):
            raise outcome
        yield Fact(True, "it is") if outcome is None else Sometimes(outcome)

    each = Property("x.y", "y", "x", "must", "cheap", "It does.", comes_out, **settings)
    card = Card(
        layer=Sound, inputs="b t d", configs=lambda pick: dict(units=pick([2, 3])), **expected
    )
    with (
        pytest.MonkeyPatch.context() as patch
    ):  # JAX and PyTorch look at one sample in short profiles
        patch.setitem(PROFILES, "two", replace(PROFILES["smoke"], brief=False))
        return check_property(card, each, "two", simplify=False)


@pytest.mark.parametrize(
    ("outcomes", "status", "samples"),
    [
        ((Inconclusive("a kink"), Violation(Finding("wrong"))), "failed", 1),
        ((Violation(Finding("wrong")), Inconclusive("a kink")), "failed", 1),
        ((Inconclusive("a kink"), None), "inconclusive", 1),
        ((None, Inconclusive("a kink")), "inconclusive", 1),
        ((Inconclusive("a kink"), NotApplicable("no")), "inconclusive", 0),
        ((Inconclusive("a kink"), False), "inconclusive", 1),  # this sample might have refuted it
        ((False, False), "failed", 2),
        ((Inconclusive("a kink"), True), "inconclusive", 1),
    ],
)
def test_a_sample_that_fails_outweighs_one_that_is_inconclusive(outcomes, status, samples):
    result = _of({}, *outcomes)
    assert (result.status, result.samples) == (status, samples)
    expected = _of({}, *outcomes, expected_inconclusive={"x.y": REASON})
    assert expected.status == ("failed" if status == "failed" else "expected_inconclusive")


def test_the_message_names_the_layer_the_reason_and_the_way_back():
    message = _of({}, Inconclusive("every point has a kink")).message
    assert message.startswith("Sound  x.y y  INCONCLUSIVE  (keras ")
    assert "\n  every point has a kink\n" in message
    assert "expected_inconclusive={'x.y': 'why'}" in message
    assert "to check again" in message


def test_check_exits_1_unless_the_card_expects_it(cards, capsys):
    only = [word for id in LOST for word in ("--only", id)]
    arguments = ["--profile", "smoke", *only, "--report", "out.json"]
    assert main(["check", f"{cards}:card", *arguments]) == 1
    out = capsys.readouterr().out
    assert "0 of 4 !" in out
    assert out.count("INCONCLUSIVE") == 4
    assert main(["check", f"{cards}:expects", *arguments]) == 0
    assert "4 expected inconclusive" in capsys.readouterr().out
    with open("out.json") as file:
        statuses = json.load(file)["manifest"][HERE]["statuses"]
    assert statuses == {"expected_inconclusive": 4}
    assert main(["check", f"{cards}:wrongly", "--profile", "smoke", "--only", "S1"]) == 1
    assert "expects it to be inconclusive" in capsys.readouterr().out


def test_replay_of_an_inconclusive_check_exits_1(without_masks, capsys):
    token = check(CARD, "M1").results[0].token
    assert main(["replay", token]) == 1
    assert "INCONCLUSIVE" in capsys.readouterr().out


def test_pytest_fails_unless_the_card_expects_it(cards, pytester, monkeypatch):
    monkeypatch.setenv("LAYERZOO_PROFILE", "smoke")
    monkeypatch.chdir(pytester.path)
    arguments = ("-p", "no:cacheprovider", "--layerzoo-only", "M1", "--layerzoo-only", "L4")
    done = pytester.runpytest_inprocess("--layerzoo", f"{cards}:card", *arguments)
    assert done.ret == 1
    done.assert_outcomes(failed=2)
    done = pytester.runpytest_inprocess("--layerzoo", f"{cards}:expects", *arguments)
    assert done.ret == 0
    done.assert_outcomes(xfailed=2)


def test_a_parametrized_check_raises_unless_the_card_expects_it(without_masks):
    with pytest.raises(ConformanceError, match="INCONCLUSIVE"):
        Check(CARD, PROPERTIES["L4"])("smoke")
    with pytest.raises(pytest.xfail.Exception, match=REASON):
        Check(replace(CARD, expected_inconclusive={"L4": REASON}), PROPERTIES["L4"])("smoke")


def _run(card, *ids):
    properties = select(*ids)
    run = Run.here("smoke", properties)
    for each in properties:
        run.add(card.name, "-", check_property(card, each, "smoke"))
    return run


def test_every_report_says_it(without_masks, tmp_path):
    expects = replace(CARD, expected_inconclusive={"M2": REASON})
    run = _run(expects, "M1", "M2")
    assert [each.title for each in run.failures] == ["M1 mask_invariance"]
    assert run.report("SelfAttention", HERE).standing == (1, 2)
    good = _run(expects, "M2")
    assert good.failures == []
    assert good.report("SelfAttention", HERE).standing == (1, 1)
    for suffix, faulty in ((".md", "? inconclusive"), (".html", '<td class="bad">? inconclusive')):
        path = tmp_path / f"out{suffix}"
        write(run, path)
        text = path.read_text(encoding="utf-8")
        assert faulty in text
        assert "INCONCLUSIVE" in text
        assert "Expected to be inconclusive" in text
        assert REASON in text


def test_no_layer_of_ours_expects_what_could_be_decided():
    """So far nothing in the catalogue is inconclusive: who adds the first, gives the reason here."""
    assert {
        name: dict(c.expected_inconclusive)
        for name, c in catalogue().items()
        if c.expected_inconclusive
    } == {}
