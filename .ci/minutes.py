#!/usr/bin/env python3
"""How long `.ci/run` and the default tests take, measured, and by a model at more layers.

    CI_SECONDS=measured/ci.json bash .ci/run     # measures
    python .ci/minutes.py                        # asks the model again

The model has no figures of its own. In a step that runs tests, the conformance kit and the layers' own tests
grow with the number of layers; the tests of the house do not, nor does what the step installs. Checks that
the ledger knew on the day of the measurement are added for the day on which every key is new, each as long
as one that was checked. A step without tests is as long for any number of layers, as installing or looking
at the broken layers is, or it grows as a whole: `GROWING`.
"""

import argparse
import json
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MEASURED = ROOT / "measured" / "ci.json"
DEFAULT = "tensorflow"
"""The step that runs the default tests, after installing."""

GROWING = ("lint", "docs", "exports")
"""Steps without tests that read a file of each layer. Part of them is fixed, so that this is too much."""


def main() -> None:
    """Print a table of minutes; write what a run logged, if asked to."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--log", type=Path, help="the folder in which `.ci/run` logged its steps")
    parser.add_argument("--write", type=Path, help="keep what was logged in this file")
    parser.add_argument("--layers", type=int, nargs="+", default=[60, 100])
    options = parser.parse_args()
    if not options.log and not MEASURED.is_file():
        parser.error(
            "nothing was measured yet: run `CI_SECONDS=measured/ci.json bash .ci/run` first"
        )
    found = logged(options.log) if options.log else json.loads(MEASURED.read_text("utf-8"))
    if options.write:
        options.write.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(table(found, options.layers))


def logged(folder: Path) -> dict:
    """The seconds of each step, those of its tests by kind, and how many layers there were."""
    steps = {}
    for line in (folder / "steps").read_text("utf-8").splitlines():
        name, seconds = line.split()
        tests = folder / f"{name}.json"
        steps[name] = {"seconds": int(seconds)}
        if tests.is_file():
            steps[name]["tests"] = json.loads(tests.read_text("utf-8"))
    cards = ROOT.glob("layerzoo/*/cards/[!_]*.py")
    return {"layers": len(list(cards)), "steps": steps}


def seconds(name: str, step: dict, growth: float, new: bool) -> float:
    """The seconds of a step with `growth` times the layers; `new` if the ledger knows no check."""
    if name in GROWING:
        return step["seconds"] * growth
    if "tests" not in step:
        return step["seconds"]
    return step["seconds"] + session(step["tests"], growth, new) - step["tests"]["session"]


def session(tests: dict, growth: float, new: bool) -> float:
    """The seconds of the tests of a step, collecting and the processes' start included."""
    kit, own, house = (tests[kind] for kind in ("kit", "own", "house"))
    together = kit + own + house
    if new and tests["checked"]:
        kit *= (tests["checked"] + tests["known"]) / tests["checked"]
    return tests["session"] * (growth * (kit + own) + house) / together


def table(found: dict, layers: list[int]) -> str:
    """Minutes by step: measured, with every key new, and at more layers."""
    steps, now = found["steps"], found["layers"]
    columns = [(f"{now}, measured", 1.0, False), (f"{now}, keys new", 1.0, True)]
    for count in layers:
        columns += [(f"{count}", count / now, False), (f"{count}, keys new", count / now, True)]
    rows = [["minutes", *(name for name, _, _ in columns)]]
    for name, step in steps.items():
        rows.append([name, *(f"{seconds(name, step, g, new) / 60:.1f}" for _, g, new in columns)])
    totals = [sum(seconds(n, step, g, new) for n, step in steps.items()) for _, g, new in columns]
    rows.append(["in all", *(f"{total / 60:.1f}" for total in totals)])
    default = [session(steps[DEFAULT]["tests"], g, new) for _, g, new in columns]
    rows.append(["the default tests", *(f"{each / 60:.1f}" for each in default)])
    widths = [max(len(row[i]) for row in rows) for i in range(len(columns) + 1)]
    return "\n".join(
        "  ".join(
            cell.ljust(w) if i == 0 else cell.rjust(w)
            for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )


if __name__ == "__main__":
    main()
