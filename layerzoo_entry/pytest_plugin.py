"""The pytest plug-in: it adds options and, unless they are given, imports neither Keras nor layerzoo."""

import argparse
import os

import pytest

from layerzoo_entry.cli import PROFILES, report_file


def pytest_addoption(parser):
    """Add `--layerzoo` and what goes with it."""
    group = parser.getgroup("layerzoo", "conformance of Keras layers")
    group.addoption(
        "--layerzoo",
        action="append",
        default=[],
        metavar="TARGET",
        help=(
            "check layers, one test for each property, without a test file: a module with a list "
            "CARDS, or module:CARDS, module:card, module:Layer, or a name that `layerzoo list` prints; "
            "may be given several times"
        ),
    )
    group.addoption(
        "--layerzoo-only",
        action="append",
        default=[],
        metavar="ID",
        help="of these targets only some properties: G1, gradient, S*; may be given several times",
    )
    group.addoption(
        "--layerzoo-report",
        action="append",
        default=[],
        metavar="FILE",
        help="write the results of these targets, as .json, .md or .html",
    )
    group.addoption(
        "--layerzoo-profile",
        choices=PROFILES,
        help="how thoroughly the conformance kit checks (default: LAYERZOO_PROFILE, or dev)",
    )


def pytest_configure(config):
    """Hand the profile to the kit, which reads the environment, and look for targets if there are any."""
    config.addinivalue_line("markers", "layerzoo: a check that `--layerzoo` asked for")
    profile = config.getoption("--layerzoo-profile")
    if profile:
        os.environ["LAYERZOO_PROFILE"] = profile
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
            "--layerzoo-only and --layerzoo-report are about what --layerzoo checks. "
            "Received: no --layerzoo"
        )
