#!/usr/bin/env python3
"""Run the kit on the newest Keras nightly, and report what changed since the committed results.

    python .ci/nightly.py

This creates its own environment in `.venv/nightly`. There it checks that the private Keras names that the kit
uses still exist. It then runs the kit's own proof, checks two layers, and runs the snippets of the findings
in Keras. A change does not have to pass this: `.ci/run` does not call it.

Exit code 1 if something is lost: a private name, a proof, or a status. Exit code 2 if the run itself fails.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LAYERS = ("SelfAttention", "SqueezeExcite")
"""One layer for sequences, with masks, and one for images."""

PROBE = """
import json, keras
from layerzoo.tensors import compat
print(json.dumps([keras.__version__, compat.lost()]))
"""


def main() -> int:
    """Run everything, print what changed, and return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--backend", default="tensorflow", choices=("tensorflow", "jax", "torch"))
    parser.add_argument("--layers", nargs="+", default=LAYERS, metavar="NAME")
    parser.add_argument("--python", help="use this environment, which has the nightly, as it is")
    options = parser.parse_args()
    python = options.python or _environment(options.backend)
    before = {
        name: read(ROOT / "measured" / "verified" / f"{name}.json") for name in options.layers
    }
    profile = next(iter(before.values()))["profile"]

    version, names = json.loads(_output(python, options.backend, "-c", PROBE).splitlines()[-1])
    print(f"\nKeras {version} on {options.backend}; the committed results are of", end=" ")
    print(", ".join(sorted({each["keras"] for each in before.values()})), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        report, ends = Path(folder) / "report.json", Path(folder) / "findings.json"
        step("the kit's own proof")
        proven = _run(python, options.backend, "-m", "layerzoo", "selftest") == 0
        step(f"{', '.join(options.layers)} at profile {profile}")
        checks = ["check", *options.layers, "--profile", profile, "--report", str(report)]
        _run(python, options.backend, "-m", "layerzoo", *checks)
        after = read(report)["layers"]
        step("the findings in Keras")
        again = ["-m", "hunting.again", "--backend", options.backend, "--out", str(ends)]
        _run(python, options.backend, *again)
        snippets = difference(read(ROOT / "measured" / "findings" / "keras.json"), read(ends))

    statuses = [
        line
        for name in options.layers
        for line in compare(name, options.backend, before[name]["results"], after.get(name, {}))
    ]
    step("what changed")
    lost = [f"lost: Keras's private name {name}" for name in names]
    lost += [] if proven else ["lost: the kit's own proof, see above"]
    lost += [line for line in statuses if line.startswith("lost")]
    print(
        "\n".join([*lost, *(line for line in statuses if line not in lost), *snippets]) or "nothing"
    )
    return 1 if lost else 0


def compare(layer: str, backend: str, before: dict, after: dict) -> list[str]:
    """A line for each property of a layer whose status has changed.

    A property is lost if it used to pass and no longer does, even if it no longer applies.
    """
    lines = []
    for id in sorted({*before, *after}):
        was, now = (found.get(id, {}).get(backend, {}) for found in (before, after))
        old, new = (each.get("status", "not run") for each in (was, now))
        if old != new:
            kind = "lost" if old == "passed" else "gained" if new == "passed" else "changed"
            reason = "" if new == "passed" else _first(now.get("reason", ""))
            lines.append(f"{kind}: {layer} {id} is {new}, and was {old}{reason}")
    return lines


def _first(message: str) -> str:
    """The first line of a failure's message."""
    return f"\n  {message.strip().splitlines()[0]}" if message.strip() else ""


def difference(before: dict, after: dict) -> list[str]:
    """A line for each finding in Keras whose snippet ends differently from the record."""
    lines = []
    for id, ends in after["findings"].items():
        for backend, end in ends.items():
            old = before["findings"].get(id, {}).get(backend, "not run")
            if end != old:
                said = (each or "success" for each in (end, old))
                lines.append(
                    "finding: {} on {} ends in {}, and ended in {}".format(id, backend, *said)
                )
    return lines


def read(path: Path) -> dict:
    """A JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))


def step(title: str) -> None:
    """Print a heading."""
    print(f"\n=== {title}", flush=True)


def _environment(backend: str) -> str:
    """Create an environment with the newest nightly, and return the path of its Python."""
    folder = ROOT / ".venv" / "nightly"
    other = "tensorflow" if backend == "jax" else "jax"  # X5 compares with another backend
    step(f"an environment in {folder.relative_to(ROOT)}")
    venv.create(folder, clear=True, with_pip=True)
    python = str(folder / ("Scripts" if os.name == "nt" else "bin") / "python")
    pip = [python, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    for command in (
        ["install", "--editable", f"{ROOT}[{backend},{other},testing]"],
        ["uninstall", "--yes", "keras"],  # `keras` and `keras-nightly` install the same files
        ["install", "--pre", "--no-deps", "keras-nightly"],
    ):
        subprocess.run([*pip, *command], check=True)
    return python


def _told(backend: str) -> dict:
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONWARNINGS": "ignore", "PYTHONPATH": str(ROOT)}
    return {**os.environ, **quiet, "KERAS_BACKEND": backend}


def _run(python: str, backend: str, *arguments: str) -> int:
    return subprocess.run(
        [python, *arguments], cwd=ROOT, env=_told(backend), check=False
    ).returncode


def _output(python: str, backend: str, *arguments: str) -> str:
    command = [python, *arguments]
    done = subprocess.run(
        command, cwd=ROOT, env=_told(backend), check=True, stdout=subprocess.PIPE, text=True
    )
    return done.stdout


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (subprocess.CalledProcessError, OSError) as error:
        print(f"the run itself failed: {error}", file=sys.stderr)
        sys.exit(2)
