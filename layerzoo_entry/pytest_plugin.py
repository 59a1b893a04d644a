"""The pytest plug-in: it adds options, and imports Keras and layerzoo only if they are used."""

import argparse
import os

import pytest

from layerzoo_entry.cli import PROFILES, natural, report_file


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--layerzoo` and its related options."""
    group = parser.getgroup("layerzoo", "conformance of Keras layers")
    group.addoption(
        "--layerzoo",
        action="append",
        default=[],
        metavar="TARGET",
        help=(
            "check layers without a test file, with one test for each property: a module with a list "
            "CARDS, or module:CARDS, module:card, module:Layer, or a name that `layerzoo list` prints; "
            "can be repeated"
        ),
    )
    group.addoption(
        "--layerzoo-only",
        action="append",
        default=[],
        metavar="ID",
        help="check only these properties of the targets: G1, gradient, S*; can be repeated",
    )
    group.addoption(
        "--layerzoo-report",
        action="append",
        default=[],
        metavar="FILE",
        help="write the results of the targets as .json, .md or .html",
    )
    group.addoption(
        "--layerzoo-profile",
        choices=PROFILES,
        help="how thorough the checks are (default: LAYERZOO_PROFILE, or dev)",
    )
    group.addoption(
        "--layerzoo-all",
        action="store_true",
        help="where there is a ledger of known results, as for layerzoo's own tests: skip nothing",
    )
    group.addoption(
        "--layerzoo-turn",
        type=natural,
        metavar="N",
        help=(
            "which quarter of the known results is checked anyway, as the summary of an earlier run names "
            "it (default: LAYERZOO_TURN, or another one than in the last run here)"
        ),
    )
    parser.addini(
        "layerzoo_ledger", "the folder with the ledger of layerzoo's own tests", default=""
    )


def pytest_configure(config: pytest.Config) -> None:
    """Pass the profile to the kit through the environment, and set up the targets if there are any."""
    config.addinivalue_line("markers", "layerzoo: a check that `--layerzoo` requested")
    profile = config.getoption("--layerzoo-profile")
    if profile:
        os.environ["LAYERZOO_PROFILE"] = profile
    ledger = config.getini("layerzoo_ledger")
    if ledger:
        from layerzoo_entry.pytest_ledger import KnownResults

        config.pluginmanager.register(KnownResults(config, ledger), "layerzoo-ledger")
    targets, only = config.getoption("--layerzoo"), config.getoption("--layerzoo-only")
    try:
        reports = [report_file(path) for path in config.getoption("--layerzoo-report")]
    except argparse.ArgumentTypeError as error:
        raise pytest.UsageError(f"--layerzoo-report {error}") from None
    if targets:
        from layerzoo_entry.pytest_targets import Targets

        config.pluginmanager.register(Targets(targets, only, reports), "layerzoo-targets")
    elif only or reports:
        raise pytest.UsageError(
            "--layerzoo-only and --layerzoo-report must come with --layerzoo. "
            "Received: no --layerzoo"
        )
