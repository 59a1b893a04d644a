"""Free sizes find what buckets cannot: each layer that is broken by size, within its budget, on every seed.

A test tries two seeds, because shrinking takes seconds. `python tests/testing/test_broken_by_size.py` tries
twenty, and writes what is found into `measured/drawing`.
"""

from pathlib import Path

import keras
import pytest
from hypothesis import Phase, given, seed, settings
from hypothesis import strategies as st

from layerzoo import measured
from layerzoo.tensors import compat
from layerzoo.testing import check_layer
from layerzoo.testing.proof.broken.dense import SOUND
from layerzoo.testing.proof.broken.sizes import BROKEN_BY_SIZE
from layerzoo.testing.properties import free

BACKEND = keras.backend.backend()
SEEDS = range(20)
FEW = SEEDS[:2]
FOLDER = Path(__file__).parents[2] / "measured"

pytestmark = [
    pytest.mark.proof,
    pytest.mark.skipif(BACKEND == "jax", reason="each new shape costs a compilation"),
]


def found(card, check, number):
    """The smallest failing case that Hypothesis finds with this seed, as it prints it, or None."""

    @seed(number)
    @settings(
        max_examples=free.CHECKS[check],
        phases=(Phase.generate, Phase.shrink),
        database=None,
        deadline=None,
    )
    @given(st.data())
    def run(data):
        check(card, data)

    try:
        with compat.undisturbed():
            run()
    except Exception as error:
        (line,) = (n for n in getattr(error, "__notes__", ()) if n.startswith("Draw 1: "))
        return line.removeprefix("Draw 1: ").split("  # ")[0]
    return None


@pytest.mark.parametrize("broken", BROKEN_BY_SIZE, ids=lambda broken: broken.card.name)
def test_found_and_shrunk_to_its_smallest_sizes(broken):
    finds = [found(broken.card, broken.check, number) for number in FEW]
    assert None not in finds
    for line in finds:
        assert f"sizes={broken.smallest!r}" in line


@pytest.mark.parametrize("check", free.CHECKS)
def test_no_sound_layer_is_accused(check):
    assert found(SOUND[0], check, 0) is None


@pytest.mark.parametrize("broken", BROKEN_BY_SIZE, ids=lambda broken: broken.card.name)
def test_the_buckets_see_nothing_of_what_needs_a_size_of_its_own(broken):
    """The rows of the deck alone, without draws, pass at least those that need nine steps or more."""
    if broken.smallest.get("t", 0) > 7:
        assert check_layer(broken.card, profile="smoke", only=["shape", "G1"]).ok


def measure():
    """Write for each broken layer its budget, how many of the seeds find it, and what is shown of it."""
    layers = {}
    for broken in BROKEN_BY_SIZE:
        finds = [found(broken.card, broken.check, number) for number in SEEDS]
        shown = sorted({line for line in finds if line}, key=finds.count)
        layers[broken.card.name] = {
            "defect": broken.card.summary,
            "check": broken.check.__name__,
            "examples": free.CHECKS[broken.check],
            "found": sum(line is not None for line in finds),
            "of": len(finds),
            "shown": shown[-1] if shown else "",
        }
        print(broken.card.name, layers[broken.card.name], flush=True)
    found_here = {"backend": BACKEND, "keras": keras.__version__, "layers": layers}
    measured.write(FOLDER, "drawing", BACKEND, found_here)


if __name__ == "__main__":
    measure()
