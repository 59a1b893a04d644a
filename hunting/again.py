"""Run the snippet of every finding on the installed Keras, and record which still fail.

    python -m hunting.again --backend all

This is for a newer Keras than the one that `hunting.run` checked. The outcome of each snippet is merged into
`measured/findings/keras.json`, and `python -m hunting.page` then marks what is gone. The file holds one Keras
version, so a run on another version starts it afresh.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import warnings
from importlib.metadata import version
from pathlib import Path

from hunting.findings import Finding, findings
from layerzoo_entry.backends import BACKENDS, CHOICES, wanted

AGAIN = Path(__file__).parents[1] / "measured" / "findings" / "keras.json"

WELL = ""
"""The outcome of a snippet that ends without an error."""


def ending(finding: Finding) -> str:
    """The type of the error, or the signal, in which a finding's snippet ends here; empty if it ends well."""
    if finding.raises.startswith("SIG"):
        ended = subprocess.run(
            [sys.executable, "-c", finding.snippet], capture_output=True, check=False
        )
        died = signal.Signals(-ended.returncode).name if ended.returncode < 0 else ""
        return died or ("Exception" if ended.returncode else WELL)
    code = compile(finding.snippet, finding.id, "exec")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            exec(code, {"__name__": "snippet"})
        except Exception as error:  # a snippet can end in any error
            return type(error).__name__
    return WELL


def seen(finding: Finding, end: str) -> bool:
    """Whether a snippet with this outcome shows its finding."""
    return end == finding.raises or (finding.raises == "Exception" and end != WELL)


def recorded(path: Path = AGAIN) -> dict:
    """The record of the last run."""
    return json.loads(path.read_text(encoding="utf-8"))


def gone(found: dict) -> dict[str, list[str]]:
    """For each finding, the backends on which its snippet now ends well."""
    lists = {
        id: [backend for backend in BACKENDS if ends.get(backend) == WELL]
        for id, ends in found["findings"].items()
    }
    return {id: backends for id, backends in lists.items() if backends}


def changed(found: dict) -> list[tuple[Finding, str, str]]:
    """Finding, backend and error of each snippet whose error differs from the one in its finding."""
    return [
        (each, backend, end)
        for each in findings()
        for backend, end in found["findings"].get(each.id, {}).items()
        if end != WELL and not seen(each, end)
    ]


def main(arguments=None) -> None:
    """Run on the selected backends, each in its own process, and print what is gone."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--backend", nargs="+", default=["all"], choices=CHOICES)
    parser.add_argument("--out", type=Path, default=AGAIN)
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.here:
        options.out.write_text(json.dumps(_run()), encoding="utf-8")
        return
    for backend in wanted(options.backend):
        with tempfile.TemporaryDirectory() as folder:
            part = Path(folder) / "part.json"
            command = [sys.executable, "-m", "hunting.again", "--here", "--out", str(part)]
            environment = {**os.environ, "KERAS_BACKEND": backend}
            subprocess.run(command, env=environment, check=True)
            _merge(options.out, json.loads(part.read_text(encoding="utf-8")))
    found = recorded(options.out)
    for id, backends in gone(found).items():
        print(f"gone in Keras {found['keras']}: {id} on {', '.join(backends)}")
    for each, backend, end in changed(found):
        print(f"{end} instead of {each.raises} in Keras {found['keras']}: {each.id} on {backend}")


def _run() -> dict:
    import keras

    backend = keras.backend.backend()
    here = [each for each in findings() if backend in each.backends]
    return {
        "keras": keras.__version__,
        "backends": {backend: version(backend)},
        "findings": {each.id: {backend: ending(each)} for each in here},
    }


def _merge(path: Path, part: dict) -> None:
    """Add the outcomes on one backend, in the order of the findings, one per line."""
    old = recorded(path) if path.exists() else {}
    if old.get("keras") != part["keras"]:
        old = {"backends": {}, "findings": {}}
    (backend,) = part["backends"]
    backends = {**old["backends"], **part["backends"]}
    ends = {
        each.id: {
            b: end
            for b in each.backends
            if (end := (part if b == backend else old)["findings"].get(each.id, {}).get(b))
            is not None
        }
        for each in findings()
    }
    lines = ",\n".join(f"  {json.dumps(id)}: {json.dumps(by)}" for id, by in ends.items())
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        f'{{\n "keras": {json.dumps(part["keras"])},\n "backends": {json.dumps(backends)},\n'
        f' "findings": {{\n{lines}\n }}\n}}\n',
        encoding="utf-8",
    )


if __name__ == "__main__":
    main()
