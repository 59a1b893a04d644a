"""The pytest plug-in: it adds an option and imports neither Keras nor layerzoo."""

import os

from layerzoo_entry.cli import PROFILES


def pytest_addoption(parser):
    """Add `--layerzoo-profile`."""
    parser.getgroup("layerzoo").addoption(
        "--layerzoo-profile",
        choices=PROFILES,
        help="how thoroughly the conformance kit checks (default: LAYERZOO_PROFILE, or dev)",
    )


def pytest_configure(config):
    """Hand the option to the kit, which reads the environment."""
    profile = config.getoption("--layerzoo-profile")
    if profile:
        os.environ["LAYERZOO_PROFILE"] = profile
