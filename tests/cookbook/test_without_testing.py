"""Layers are measured where neither pytest nor Hypothesis is installed."""

import subprocess
import sys

import pytest

PROGRAM = """
import sys
sys.modules |= dict.fromkeys(("pytest", "hypothesis"))  # an import of either raises
{}
loaded = [name for name in sys.modules if name.startswith("layerzoo.testing")]
assert not loaded, loaded
"""

BENCH = """
from layerzoo.cookbook import bench
assert bench.works_of("GatedMLP")
bench.peak("GatedMLP", 0, long=False, side="layer")
"""

DEPTH = """
from layerzoo.cookbook.depth import all_depths, files
assert list(all_depths())
"""


@pytest.mark.parametrize("lines", [BENCH, DEPTH], ids=["bench", "depth"])
def test_a_measurement_needs_nothing_of_the_kit(lines):
    command = [sys.executable, "-W", "ignore", "-c", PROGRAM.format(lines)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
