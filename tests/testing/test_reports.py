"""Reports: what was checked is counted, what was not is told, and names and messages stay text."""

import json
import math
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from layerzoo import catalogue
from layerzoo.tensors import compat
from layerzoo.testing import PROPERTIES, Finding, Report, check_layer
from layerzoo.testing.engine.report import Failure, Result
from layerzoo.testing.front.as_json import of_layer
from layerzoo.testing.front.as_markdown import as_markdown
from layerzoo.testing.front.report_files import write
from layerzoo.testing.front.runs import Fate, Problem, Run, Totals
from layerzoo.testing.front.wording import problems

HERE = compat.BACKEND
NASTY = "<script>alert(1)</script> | `x` **b**\n````\n# heading\n</pre>"


def run(*results, ids=("S1", "S2"), partial=False, label="Layer"):
    """A run in which one layer was checked."""
    made = Run.here("dev", [PROPERTIES[id] for id in ids], partial)
    for each in results:
        made.add(label, "pkg:Layer", each)
    return made


def result(id, status="passed", samples=4, message="", failure=None):
    name = PROPERTIES[id].name
    return Result(id, name, status, samples, message, seconds=0.5, failure=failure)


def why(made):
    return [each.why for each in made.shortfalls]


def test_a_complete_run_lacks_nothing_and_is_counted():
    made = run(result("S1"), result("S2", "not_applicable", 0, "no"))
    assert made.ok
    assert made.shortfalls == made.failures == []
    statuses = {"passed": 1, "not_applicable": 1}
    assert made.totals == {HERE: Totals(1, 1, 4, 1.0, statuses)}


def test_what_was_demanded_and_not_looked_at_is_told():
    assert why(run(result("S1"))) == ["there is no result"]
    assert why(run(result("S1"), result("S2", samples=0))) == [
        "it passed without checking any sample"
    ]
    nothing = [result(id, "not_applicable", 0, "no") for id in ("S1", "S2")]
    assert why(run(*nothing)) == ["no property applies to the layer"]
    asked_for = "none of the selected properties applies to any layer"
    assert why(run(*nothing, partial=True)) == [asked_for]
    both = run(*nothing, partial=True)
    both.add("Other", "pkg:Other", result("S1"))
    both.add("Other", "pkg:Other", result("S2"))
    assert why(both) == [], "where the user chose, some layer was looked at"


def test_a_layer_that_failed_was_looked_at():
    assert why(run(result("S1", "inconclusive", 0, "kinks"), ids=("S1",))) == []


STATUSES = [
    ("passed", 4, True),
    ("passed", 0, False),
    ("not_applicable", 0, True),
    ("not_run", 0, True),
    ("expected_failure", 0, True),
    ("expected_inconclusive", 0, True),
    ("failed", 4, False),
    ("unexpected_pass", 4, False),
    ("inconclusive", 4, False),
    ("not_asked", 0, False),
]


@pytest.mark.parametrize(("status", "samples", "good"), STATUSES)
def test_a_layer_and_a_run_agree_on_what_is_good(status, samples, good):
    found = (result("S1"), result("S2", status, samples))
    report = Report("Layer", HERE, "dev", ("S1", "S2"), found)
    made = run(*found)
    assert made.report("Layer", HERE) == report
    assert report.ok == made.ok == good
    hold, due = report.standing
    assert (hold == due) == good


def test_a_report_on_an_instance_says_once_how_to_declare_what_a_hint_asks_of_a_card():
    bad, good = result("S1", "failed", 1, failure=FAILURE), result("S1")
    for found, instance, times in ((bad, True, 1), (bad, False, 0), (good, True, 0)):
        report = Report("Layer", HERE, "dev", ("S1",), (found,), instance=instance)
        assert str(report).count("traits=Traits(...)") == times


def test_a_defect_that_survives_fails_a_run():
    made = run(result("S1"), ids=("S1",))
    made.mutants = {"Layer": {"`gain` is ignored": {HERE: Fate("S1", "")}}}
    assert made.ok
    made.mutants["Layer"]["`gain` is ignored"]["elsewhere"] = Fate("", "vary it")
    assert not made.ok


def test_a_backend_that_gave_too_little_is_told_and_one_with_a_problem_is_not_told_twice():
    made = run(result("S1"), ids=("S1",))
    made.backends["elsewhere"] = "1.0"
    assert why(made) == ["there is no result", "no property applies to the layer"]
    for target in ("pkg:Layer", "pkg"):
        made.problems["elsewhere"] = [Problem(target, "no")]
        assert why(made) == []
    assert problems(made) == ["pkg: no"]


def test_failures_that_say_the_same_are_told_together():
    made = run(result("S1", "failed", 1, f"wrong on {HERE}"), ids=("S1",))
    for backend, reason in (("elsewhere", "wrong on elsewhere"), ("third", "raised on third")):
        made.add("Layer", "pkg:Layer", result("S1", "failed", 1, reason), backend)
    assert [each.backends for each in made.failures] == [(HERE, "elsewhere"), ("third",)]


FAILURE = Failure(
    "A title",
    "A claim.",
    Finding("what was compared", [0, 1], 1.0, 2.0, 1.0, 1e-5, "float32"),
    hint="a cause",
    program="assert 0",
)


@pytest.mark.parametrize("found", [1.0, math.inf])
def test_what_another_process_hands_over_is_the_same_run(found):
    failure = replace(FAILURE, finding=replace(FAILURE.finding, found=found))
    made = run(result("S1", "failed", 1, failure=failure), result("S2", message="a note"))
    made.problems[HERE] = [Problem("pkg:X", "no such thing")]
    made.mutants = {"Layer": {"`gain` is ignored": {HERE: Fate("S1", "vary it")}}}
    data = json.loads(json.dumps(made.to_dict(), allow_nan=False))
    again = Run.from_dict(data)
    assert again == made
    whole = Run.planned("dev", [PROPERTIES[id] for id in ("S1", "S2")])
    whole.merge(again)
    assert whole == made
    there = Run.from_dict(json.loads(json.dumps(data).replace(HERE, "elsewhere")))
    whole.merge(there)
    assert set(whole.results["Layer"]["S1"]) == set(whole.backends) == {HERE, "elsewhere"}
    assert made == again, "a merge leaves its parts alone"


def test_json_has_the_parts_of_a_failure_beside_its_text():
    (entry,) = run(result("S1", "failed", 1, failure=FAILURE)).to_dict()["layers"]["Layer"].values()
    assert entry[HERE]["reason"] == str(FAILURE)
    assert entry[HERE]["failure"]["hint"] == "a cause"
    assert entry[HERE]["failure"]["program"] == "assert 0"


def test_what_is_kept_of_a_layer_leaves_out_what_is_empty():
    kept = of_layer(run(result("S2", "not_applicable", 0, "no"), result("S1")), "Layer")
    assert list(kept) == ["profile", "keras", "backends", "results"]
    assert kept["results"] == {
        "S1": {HERE: {"status": "passed", "samples": 4}},
        "S2": {HERE: {"status": "not_applicable", "reason": "no"}},
    }
    assert list(kept["results"]) == ["S1", "S2"], "in the order of the properties"


def nasty_run():
    statuses = ("passed", "failed", "expected_failure", "unexpected_pass", "inconclusive")
    ids = list(PROPERTIES)[: len(statuses) + 2]
    found = [result(id, status, 3, NASTY) for id, status in zip(ids, statuses, strict=False)]
    found.append(result(ids[-2], "not_applicable", 0, NASTY))
    made = run(*found, ids=ids, label=NASTY)
    made.problems[HERE] = [Problem(NASTY, NASTY)]
    return made


class Tags(HTMLParser):
    """Notes every tag, attribute and text, and whether the tags close in order."""

    def __init__(self):
        super().__init__()
        self.open, self.tags, self.attributes, self.texts = [], set(), {}, []

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.attributes.update(attributes)
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def test_the_page_shows_every_text_as_it_is_and_asks_nobody(tmp_path):
    path = tmp_path / "out.html"
    write(nasty_run(), path)
    page = path.read_text(encoding="utf-8")
    tags = Tags()
    tags.feed(page)
    assert not tags.open
    assert not tags.tags & {"script", "b", "img", "link", "iframe"}
    assert not {"src", "onerror", "onload"} & set(tags.attributes)
    assert "http:" not in page
    assert "https:" not in page
    assert "url(" not in page
    assert tags.texts.count(NASTY) >= 4, "the name and the messages, letter by letter"
    for status in ("passed", "failed", "expected failure", "unexpected pass", "inconclusive"):
        assert any(status in text for text in tags.texts), status
    assert any("○ not checked" in text for text in tags.texts), "the last property has no result"
    assert "prefers-color-scheme: dark" in page


def test_markdown_shows_every_text_as_it_is(tmp_path):
    path = tmp_path / "out.md"
    write(nasty_run(), path)
    text = path.read_text(encoding="utf-8")
    fence = "`````"
    assert text.count(f"{fence}text\n{NASTY}\n{fence}\n") == 3, (
        "longer than the fence in the message"
    )
    outside = "".join(text.split(fence)[::2])
    assert "\n# heading" not in outside
    assert "<script>" not in outside
    assert "\\<script\\>alert(1)\\</script\\> \\| \\`x\\`" in outside
    rows = [line for line in outside.split("\n") if line.startswith("|")]
    bars = {line.replace("\\|", "").count("|") for line in rows}
    assert bars == {3}, "two columns in every row"


def test_json_keeps_the_data(tmp_path):
    path = tmp_path / "out.json"
    write(nasty_run(), path)
    data = json.loads(path.read_text(encoding="utf-8"))
    assert Run.from_dict(data) == nasty_run()
    assert data["manifest"][HERE]["checks"] == 5
    assert len(data["not_checked"]) == 1


@pytest.mark.parametrize("suffix", [".md", ".html"])
def test_a_run_of_nothing_has_a_report_too(tmp_path, suffix):
    made = run(ids=("S1",))
    made.problems[HERE] = [Problem("pkg:X", "no such thing")]
    path = tmp_path / f"out{suffix}"
    write(made, path)
    assert "no such thing" in path.read_text(encoding="utf-8")


def test_what_a_profile_leaves_out_is_not_run_and_never_does_not_apply():
    card = catalogue()["DropPath"]
    (left_out,) = check_layer(card, profile="smoke", only=["X6"]).results
    assert (left_out.status, left_out.samples) == ("not_run", 0)
    assert "`ci`" in left_out.message
    (claims_nothing,) = check_layer(card, profile="smoke", only=["I3"]).results
    assert claims_nothing.status == "not_applicable"
    ids = ["S1", "S2"]
    found = [result(ids[0], "not_run", 0, "it takes seconds"), result(ids[1])]
    made = run(*found)
    assert made.report("Layer", HERE).standing == (1, 1), "only what ran is counted"
    text = as_markdown(made)
    assert "not run" in text
    assert "## Not run" in text
