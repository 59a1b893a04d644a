"""Tests without a test file: one for each property of each card that `pytest --layerzoo` names."""

import pytest


class Targets:
    """The part of the plug-in that runs only if `--layerzoo` is given.

    Attributes:
        texts: The targets, as the user wrote them.
        only: The properties to check; all if empty.
        reports: The files to write.
        run: The results, a `layerzoo.testing.front.runs.Run`, or None as long as there are none.
        problems: What could not be collected.
    """

    def __init__(self, texts, only, reports):
        self.texts, self.only, self.reports = list(dict.fromkeys(texts)), only, reports
        self.run = None
        self.problems = []

    @pytest.hookimpl(tryfirst=True)  # so that `-k` and `-m` select among these tests too
    def pytest_collection_modifyitems(self, session, items):
        """Collect the targets after the files."""
        labels: dict[str, str] = {}
        for text in self.texts:
            node = TargetCollector.from_parent(session, name=text, nodeid=text, only=self.only)
            for item in session.genitems(node):
                name, target = item.check.card.name, item.check.target
                item.label = name if labels.setdefault(name, target) == target else target
                items.append(item)

    def pytest_collectreport(self, report):
        """Store what could not be collected, for the reports."""
        if report.failed and report.nodeid.split("::")[0] in self.texts:
            self.problems.append(report.longreprtext)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item, call):
        """Attach the result to the test's report, as plain data, because it may go to another process."""
        report = yield
        if call.when == "call" and isinstance(item, CheckItem) and item.run:
            report.layerzoo = item.run.to_dict()
        return report

    def pytest_runtest_logreport(self, report):
        """Store the result for the reports."""
        if hasattr(report, "layerzoo"):
            from layerzoo.testing.front.runs import Run

            part = Run.from_dict(report.layerzoo)
            if self.run:
                self.run.merge(part)
            else:
                self.run = part

    def pytest_sessionfinish(self, session):
        """Write the reports."""
        if not self.run or not self.reports or hasattr(session.config, "workerinput"):
            return
        from layerzoo.testing.front.reports import write
        from layerzoo.testing.front.runs import Problem

        problems = [Problem("", text) for text in self.problems]
        self.run.problems = dict.fromkeys(self.run.backends, problems) if problems else {}
        for path in self.reports:
            write(self.run, path)


class TargetCollector(pytest.Collector):
    """The cards that one target names."""

    def __init__(self, *, only, **kwargs):
        super().__init__(**kwargs)
        self.only = only

    def collect(self):
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

    def __init__(self, *, target, properties, **kwargs):
        super().__init__(**kwargs)
        self.target, self.properties = target, properties

    def collect(self):
        """A test for each property."""
        from layerzoo.testing import Check
        from layerzoo.testing.engine.triage import in_order

        if self.target.problem:
            raise self.CollectError(f"{self.target.text}: {self.target.problem}")
        told: dict = {}
        for each in in_order(self.properties):
            check = Check(self.target.card, each, self.target.text, told)
            nodeid = f"{self.nodeid.split('::')[0]}::{check.name()}"
            yield CheckItem.from_parent(self, name=check.name(), nodeid=nodeid, check=check)


class CheckItem(pytest.Item):
    """One property of one card."""

    def __init__(self, *, check, **kwargs):
        super().__init__(**kwargs)
        self.check = check
        self.label = check.card.name
        self.run = None
        self.add_marker("layerzoo")
        # TensorFlow's variables do not accept NumPy 2's `copy` yet, so every save of a model warns
        copies = "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
        self.add_marker(pytest.mark.filterwarnings(copies))

    def runtest(self):
        """Check the property, and end the test with its result."""
        from layerzoo.testing.engine.run import profile_named
        from layerzoo.testing.front.parametrize import judge
        from layerzoo.testing.front.runs import Run

        result = self.check.run()
        self.run = Run.here(profile_named(None), [self.check.property], partial=True)
        self.run.add(self.label, self.check.target, result)
        judge(result)

    def repr_failure(self, excinfo, style=None):
        """The kit's message, which says more than a traceback through the kit."""
        from layerzoo.testing import ConformanceError

        if isinstance(excinfo.value, ConformanceError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self):
        """The location of the test for a heading; it has no file."""
        from layerzoo.testing.engine.report import printable

        return self.path, None, printable(f"{self.name} of {self.check.target}")
