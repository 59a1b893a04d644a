"""Reports: what was checked is counted, what was not is told, and names and messages stay text."""

import json
from html.parser import HTMLParser

import pytest

from layerzoo import catalogue
from layerzoo.tensors import compat
from layerzoo.testing import PROPERTIES, check_layer
from layerzoo.testing.engine.report import Result
from layerzoo.testing.front import reports

HERE = compat.BACKEND
NASTY = "<script>alert(1)</script> | `x` **b**\n````\n# heading\n</pre>"


def run(*results, ids=("S1", "S2"), partial=False, label="Layer"):
    """The data of a run in which one layer was checked."""
    data = reports.header("dev", [PROPERTIES[id] for id in ids], partial)
    for result in results:
        reports.merge(data, reports.finding(label, "pkg:Layer", result))
    return data


def result(id, status="passed", samples=4, message=""):
    return Result(id, PROPERTIES[id].name, status, samples, message, seconds=0.5)


def why(data):
    return [each["why"] for each in reports.conclude(data)["not_checked"]]


def test_a_complete_run_lacks_nothing_and_is_counted():
    data = reports.conclude(run(result("S1"), result("S2", "not_applicable", 0, "no")))
    assert data["not_checked"] == []
    assert data["manifest"][HERE] == {
        "layers": 1,
        "checks": 1,
        "samples": 4,
        "seconds": 1.0,
        "statuses": {"passed": 1, "not_applicable": 1},
    }
    assert reports.failures(data) == []


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
    reports.merge(both, reports.finding("Other", "pkg:Other", result("S1")))
    reports.merge(both, reports.finding("Other", "pkg:Other", result("S2")))
    assert why(both) == [], "where the user chose, some layer was looked at"


def test_a_layer_that_failed_was_looked_at():
    assert why(run(result("S1", "inconclusive", 0, "kinks"), ids=("S1",))) == []


def test_a_backend_that_gave_too_little_is_told_and_one_with_a_problem_is_not_told_twice():
    data = run(result("S1"), ids=("S1",))
    reports.merge(data, {"backends": {"elsewhere": "1.0"}})
    assert why(data) == ["there is no result", "no property applies to the layer"]
    for target in ("pkg:Layer", "pkg"):
        problems = {"problems": {"elsewhere": [{"target": target, "problem": "no"}]}}
        assert why({**data, **problems}) == []
    assert reports.problems({**data, **problems}) == ["pkg: no"]


def test_failures_that_say_the_same_are_told_together():
    data = run(result("S1", "failed", 1, f"wrong on {HERE}"), ids=("S1",))
    entry = data["layers"]["Layer"]["S1"][HERE]
    for backend, reason in (("elsewhere", "wrong on elsewhere"), ("third", "raised on third")):
        data["layers"]["Layer"]["S1"][backend] = {**entry, "reason": reason}
    assert [each["backends"] for each in reports.failures(data)] == [[HERE, "elsewhere"], ["third"]]


def nasty_data():
    statuses = ("passed", "failed", "expected_failure", "unexpected_pass", "inconclusive")
    ids = list(PROPERTIES)[: len(statuses) + 2]
    found = [result(id, status, 3, NASTY) for id, status in zip(ids, statuses, strict=False)]
    found.append(result(ids[-2], "not_applicable", 0, NASTY))
    data = run(*found, ids=ids, label=NASTY)
    data["problems"][HERE] = [{"target": NASTY, "problem": NASTY}]
    return reports.conclude(data)


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
    data = nasty_data()
    path = tmp_path / "out.html"
    reports.write(data, path)
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
    data = nasty_data()
    path = tmp_path / "out.md"
    reports.write(data, path)
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
    data = nasty_data()
    path = tmp_path / "out.json"
    reports.write(data, path)
    assert json.loads(path.read_text(encoding="utf-8")) == data


@pytest.mark.parametrize("suffix", [".md", ".html"])
def test_a_run_of_nothing_has_a_report_too(tmp_path, suffix):
    data = reports.header("dev", [PROPERTIES["S1"]])
    data["problems"][HERE] = [{"target": "pkg:X", "problem": "no such thing"}]
    path = tmp_path / f"out{suffix}"
    reports.write(reports.conclude(data), path)
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
    data = reports.conclude(run(*found))
    assert reports.standing(data, "Layer", HERE)[:2] == (1, 1), "only what ran is counted"
    text = reports.markdown(data)
    assert "not run" in text
    assert "## Not run" in text
