"""Skips checks with known results in layerzoo's own tests. See `layerzoo.testing.engine.ledger`."""

import argparse
import datetime
import os
import subprocess
from collections import Counter
from functools import cached_property

import pytest

from layerzoo_entry.cli import natural

REASON = "as the ledger says"

PROPERTY = "layerzoo-ledger"
"""The name under which each report stores whether the ledger knew its check."""


class KnownResults:
    """The part of the plug-in that is active only in a project that configures a ledger.

    Attributes:
        folder: The folder with the ledger.
        everything: Whether nothing is skipped.
        turn: Which quarter of the known results is checked anyway.
        counts: How many checks were skipped (`known`), known but checked anyway (`due`), and not known
            (`new`).
    """

    def __init__(self, config, folder):
        self.folder = config.rootpath / folder
        self.everything = config.getoption("--layerzoo-all")
        self.memory = f"layerzoo/turn-{os.environ.get('KERAS_BACKEND', 'default')}"
        self.turn = self._turn(config)
        self.counts: Counter[str] = Counter()

    def _turn(self, config):
        """The requested turn, or the one after the last run, or the number of commits.

        A fresh checkout has no record of the last run, so it uses the number of commits.
        """
        if hasattr(config, "workerinput"):
            return config.workerinput[PROPERTY]
        asked = config.getoption("--layerzoo-turn")
        if asked is None and os.environ.get("LAYERZOO_TURN"):
            try:
                asked = natural(os.environ["LAYERZOO_TURN"])
            except argparse.ArgumentTypeError as error:
                raise pytest.UsageError(f"LAYERZOO_TURN {error}") from None
        if asked is None and hasattr(config, "cache"):
            last = config.cache.get(self.memory, None)
            asked = None if last is None else last + 1
        return _commits(config.rootpath) if asked is None else asked

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node):
        """Pass the turn to a pytest-xdist worker."""
        node.workerinput[PROPERTY] = self.turn

    @cached_property
    def ledger(self):
        """The ledger, read when the first check asks for it."""
        from layerzoo.testing.engine.ledger import Ledger

        return Ledger(self.folder)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item):
        """Skip a check whose result is known, before its fixtures are set up."""
        check = getattr(getattr(item, "callspec", None), "params", {}).get("check")
        if check is None:
            return
        from layerzoo.testing import Check

        if isinstance(check, Check):
            state = self._state(check)
            item.user_properties.append((PROPERTY, state))
            if state == "known":
                pytest.skip(REASON)

    def _state(self, check):
        from layerzoo.testing.engine.ledger import due
        from layerzoo.testing.engine.run import profile_named

        if self.everything or not self.ledger.knows(
            check.card, check.property, profile_named(None)
        ):
            return "new"
        return "due" if due(check.card.name, check.property.id, self.turn) else "known"

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item, call):
        """Explain the failure of a check that the ledger says was good."""
        report = yield
        if report.failed and (PROPERTY, "due") in item.user_properties:
            said = (
                f"The ledger in {self.folder} says that this check was good, and the key of that result is "
                "still the same. Either the entry is wrong, or the result depends on something that no key "
                "covers. Check the layer with --layerzoo-all."
            )
            report.sections.append(("the ledger", said))
        return report

    def pytest_runtest_logreport(self, report):
        """Count the checks, including those of other processes."""
        if report.when == "setup":
            self.counts.update(state for name, state in report.user_properties if name == PROPERTY)

    def pytest_terminal_summary(self, terminalreporter):
        """Report how many checks this run made."""
        total = self.counts.total()
        if total:
            now = total - self.counts["known"]
            line = f"ledger: checked now {now:,} of {total:,}"
            if now < total:
                line += (
                    f", the rest {REASON}; {self.counts['due']:,} of the {now:,} are known and were checked "
                    f"anyway, by --layerzoo-turn {self.turn}"
                )
            terminalreporter.write_line(line)

    def pytest_sessionfinish(self, session):
        """Remember the turn of a run that skipped something."""
        if self.counts["known"] and hasattr(session.config, "cache"):
            session.config.cache.set(self.memory, self.turn)


def _commits(folder):
    """The number of commits, which differs after each change. Without git, the day's ordinal."""
    command = ["git", "rev-list", "--count", "HEAD"]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return datetime.date.today().toordinal()
    return int(done.stdout)
