#!/usr/bin/env python3
"""How long `.ci/run` and the default tests take, measured, and by a model at more layers.

    CI_SECONDS=measured/ci.json bash .ci/run     # measures
    python .ci/minutes.py                        # asks the model again

The model has no figures of its own. A step takes as long for the house as it was measured to, and what it
does for layers grows with their number: the conformance kit, and the layers' own tests. Checks that the
ledger knew on the day of the measurement are added for the day on which every key is new. Steps without
tests are taken as fixed, which is nearly so: they install, and look at the broken layers.
"""

import argparse
import json
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MEASURED = ROOT / "measured" / "ci.json"
DEFAULT = "tensorflow"
"""The step that runs the default tests, after installing."""


def main() -> None:
    """Print a table of minutes; write what a run logged, if asked to."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--log", type=Path, help="the folder in which `.ci/run` logged its steps")
    parser.add_argument("--write", type=Path, help="keep what was logged in this file")
    parser.add_argument("--layers", type=int, nargs="+", default=[60, 100])
    options = parser.parse_args()
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


def seconds(step: dict, growth: float, new: bool) -> float:
    """The seconds of a step with `growth` times the layers; `new` if the ledger knows no check."""
    tests = step.get("tests")
    if not tests:
        return step["seconds"]
    kit, own, house = (tests[kind] for kind in ("kit", "own", "house"))
    together = kit + own + house
    if new and tests["checked"]:
        kit *= (tests["checked"] + tests["known"]) / tests["checked"]
    return step["seconds"] * (growth * (kit + own) + house) / together


def table(found: dict, layers: list[int]) -> str:
    """Minutes by step: measured, with every key new, and at more layers."""
    steps, now = found["steps"], found["layers"]
    columns = [(f"{now}, measured", 1.0, False), (f"{now}, keys new", 1.0, True)]
    for count in layers:
        columns += [(f"{count}", count / now, False), (f"{count}, keys new", count / now, True)]
    rows = [["minutes", *(name for name, _, _ in columns)]]
    for name, step in steps.items():
        rows.append([name, *(f"{seconds(step, g, new) / 60:.1f}" for _, g, new in columns)])
    totals = [sum(seconds(step, g, new) for step in steps.values()) for _, g, new in columns]
    rows.append(["in all", *(f"{total / 60:.1f}" for total in totals)])
    rows.append(["the default tests", *(_default(steps[DEFAULT], g, new) for _, g, new in columns)])
    widths = [max(len(row[i]) for row in rows) for i in range(len(columns) + 1)]
    return "\n".join(
        "  ".join(
            cell.ljust(w) if i == 0 else cell.rjust(w)
            for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )


def _default(step, growth, new) -> str:
    """The default tests alone: their session's seconds, without the installation before it."""
    return f"{seconds({**step, 'seconds': step['tests']['session']}, growth, new) / 60:.1f}"


if __name__ == "__main__":
    main()
