"""Tests without a test file: one for each property of each card that `pytest --layerzoo` names."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:  # the names alone: Keras is imported when a test is collected
    from layerzoo.testing import Check, Property
    from layerzoo.testing.front.runs import Run
    from layerzoo.testing.front.targets import Target


class Targets:
    """The part of the plug-in that runs only if `--layerzoo` is given.

    Attributes:
        texts: The targets, as the user wrote them.
        only: The properties to check; all if empty.
        reports: The files to write.
        run: The results, a `layerzoo.testing.front.runs.Run`, or None as long as there are none.
        problems: What could not be collected.
    """

    def __init__(self, texts: list[str], only: list[str], reports: list[Path]):
        self.texts, self.only, self.reports = list(dict.fromkeys(texts)), only, reports
        self.run: Run | None = None
        self.problems: list[str] = []

    @pytest.hookimpl(tryfirst=True)  # so that `-k` and `-m` select among these tests too
    def pytest_collection_modifyitems(
        self, session: pytest.Session, items: list[pytest.Item]
    ) -> None:
        """Collect the targets after the files."""
        labels: dict[str, str] = {}
        for text in self.texts:
            node = TargetCollector.from_parent(session, name=text, nodeid=text, only=self.only)
            for item in session.genitems(node):
                if isinstance(item, CheckItem):
                    name, target = item.check.card.name, item.target
                    item.label = name if labels.setdefault(name, target) == target else target
                    items.append(item)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Store what could not be collected, for the reports."""
        if report.failed and report.nodeid.split("::")[0] in self.texts:
            self.problems.append(report.longreprtext)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Attach the result to the test's report, as plain data, because it may go to another process."""
        report = yield
        if call.when == "call" and isinstance(item, CheckItem) and item.run:
            report.layerzoo = item.run.to_dict()  # type: ignore[attr-defined]
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Store the result for the reports."""
        if hasattr(report, "layerzoo"):
            from layerzoo.testing.front.runs import Run

            part = Run.from_dict(report.layerzoo)
            if self.run:
                self.run.merge(part)
            else:
                self.run = part

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Write the reports."""
        if not self.run or not self.reports or hasattr(session.config, "workerinput"):
            return
        from layerzoo.testing.front.report_files import write
        from layerzoo.testing.front.runs import Problem

        problems = [Problem("", text) for text in self.problems]
        self.run.problems = dict.fromkeys(self.run.backends, problems) if problems else {}
        for path in self.reports:
            write(self.run, path)


class TargetCollector(pytest.Collector):
    """The cards that one target names."""

    def __init__(self, *, only: list[str], **kwargs: Any):
        super().__init__(**kwargs)
        self.only = only

    def collect(self) -> Iterator[CardCollector]:
        """A collector for each card, so that an unusable card does not affect the others."""
        from layerzoo.testing import select
        from layerzoo.testing.front.targets import resolve

        try:
            properties = select(*self.only)
        except ValueError as error:
            raise self.CollectError(f"--layerzoo-only: {error}") from None
        for target in resolve(self.name):
            name = target.card.name if target.card else target.text.rpartition(":")[2]
            yield CardCollector.from_parent(
                self,
                name=name,
                nodeid=self.nodeid if target.text == self.name else f"{self.nodeid}::{name}",
                target=target,
                properties=properties,
            )


class CardCollector(pytest.Collector):
    """One card."""

    def __init__(self, *, target: Target, properties: list[Property], **kwargs: Any):
        super().__init__(**kwargs)
        self.target, self.properties = target, properties

    def collect(self) -> Iterator[CheckItem]:
        """A test for each property."""
        from layerzoo.testing import Check
        from layerzoo.testing.engine.triage import in_order

        if self.target.card is None or self.target.problem:
            raise self.CollectError(f"{self.target.text}: {self.target.problem}")
        told: dict = {}
        for each in in_order(self.properties):
            check = Check(self.target.card, each, self.target.text, told)
            nodeid = f"{self.nodeid.split('::')[0]}::{check.name()}"
            yield CheckItem.from_parent(self, name=check.name(), nodeid=nodeid, check=check)


class CheckItem(pytest.Item):
    """One property of one card."""

    def __init__(self, *, check: Check, **kwargs: Any):
        super().__init__(**kwargs)
        self.check = check
        self.target = check.target or check.card.name
        self.label = check.card.name
        self.run: Run | None = None
        self.add_marker("layerzoo")
        # TensorFlow's variables do not accept NumPy 2's `copy` yet, so every save of a model warns
        copies = "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
        self.add_marker(pytest.mark.filterwarnings(copies))

    def runtest(self) -> None:
        """Check the property, and end the test with its result."""
        from layerzoo.testing.engine.run import profile_named
        from layerzoo.testing.front.parametrize import judge
        from layerzoo.testing.front.runs import Run

        result = self.check.run()
        self.run = Run.here(profile_named(None), [self.check.property], partial=True)
        self.run.add(self.label, self.target, result)
        judge(result)

    def repr_failure(self, excinfo: pytest.ExceptionInfo, style: Any = None) -> Any:
        """The kit's message, which says more than a traceback through the kit."""
        from layerzoo.testing import ConformanceError

        if isinstance(excinfo.value, ConformanceError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, None, str]:
        """The location of the test for a heading; it has no file."""
        from layerzoo.testing.engine.report import printable

        return self.path, None, printable(f"{self.name} of {self.target}")
