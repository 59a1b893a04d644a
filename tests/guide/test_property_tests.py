"""The files of the page on property tests run as a reader runs them, and print what the page shows."""

import re
from pathlib import Path

import pytest
from hypothesis import settings

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "guide" / "property-tests.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r'^```python title="([^"]+)"\n(.*?)^```$', PAGE, re.MULTILINE | re.DOTALL))
SHOWN = re.findall(r"^```text\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture
def printed(pytester):
    """What pytest prints in a folder with the files, where one test fails on purpose."""
    for name, code in FILES.items():
        included = re.fullmatch(r'--8<-- "(.+)"\n', code)
        text = (ROOT / included[1]).read_text(encoding="utf-8") if included else code
        (pytester.path / name).write_text(text, encoding="utf-8")
    before = settings.get_current_profile_name()
    try:
        done = pytester.runpytest_inprocess(
            "-p", "no:cacheprovider", "--hypothesis-show-statistics"
        )
    finally:
        settings.load_profile(before)  # `conftest.py` of the page loads another
    tests = sum(code.count("\n@given(") for code in FILES.values()) + 1  # and the state machine
    done.assert_outcomes(passed=tests - 1, failed=1)
    return done.stdout.str()


@pytest.mark.proof
def test_the_files_run_and_print_what_the_page_shows(printed):
    printed = re.sub("^E {7}", "", printed, flags=re.MULTILINE)
    failure, statistics = SHOWN
    assert failure in printed
    found = [words(line) for line in printed.splitlines()]
    assert [line for line in statistics.splitlines() if words(line) not in found] == []


def words(line):
    """A line of statistics without its numbers, which change with the version of Hypothesis."""
    return re.sub(r"\d+", "0", line)
