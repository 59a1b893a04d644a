"""The numbers and the picture of the page on a first model: `python docs/guide/first_model.py`.

It runs the programs of the page in order, each in a new process, as a reader does. It writes the picture to
`docs/assets/first_model` and the numbers to `measured/guide/first_model.json`, or both to the folder that
you pass.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import keras

PAGE = Path(__file__).with_name("first-model.md")
PICTURE = "look.svg"
THEMES = {"light": "26323f", "dark": "d6dbe0"}
"""The colour of the text in the picture, for a light and for a dark page."""

STYLE = """
savefig.transparent: True
svg.hashsalt: look
text.color: {0}
axes.edgecolor: {0}
axes.labelcolor: {0}
xtick.color: {0}
ytick.color: {0}
"""
"""What matplotlib reads from the folder in which it runs."""


def programs():
    """The programs of the page."""
    return re.findall(r"^```python\n(.*?)^```$", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)


def run(program, folder):
    """Run a program in a folder and in a new process.

    Returns:
        What it printed, and the accuracy that it ended with, if any.
    """
    finished = subprocess.run(
        [sys.executable, "-c", program + '\nprint("accuracy", vars().get("accuracy"))'],
        cwd=folder,
        env={**os.environ, "KERAS_BACKEND": keras.backend.backend(), "SOURCE_DATE_EPOCH": "0"},
        capture_output=True,
        text=True,
    )
    if finished.returncode:
        raise RuntimeError(
            f"Every program of the page must run. Received: {finished.stderr}\nfrom\n{program}"
        )
    printed, _, accuracy = finished.stdout.rpartition("accuracy ")
    return printed, None if accuracy == "None\n" else float(accuracy)


def write(pictures, numbers):
    """Run the page, and write the picture into a folder and the numbers into a file."""
    pictures.mkdir(parents=True, exist_ok=True)
    found = {"backend": keras.backend.backend(), "keras": keras.__version__}
    *others, drawing = programs()
    with tempfile.TemporaryDirectory() as folder:
        runs = [run(program, folder) for program in others]
        for theme, colour in THEMES.items():
            Path(folder, "matplotlibrc").write_text(STYLE.format(colour))
            last = run(drawing, folder)
            shutil.copy(Path(folder, PICTURE), pictures / f"look-{theme}.svg")
    found["printed"] = [printed for printed, _ in [*runs, last]]
    found["accuracy"] = [accuracy for _, accuracy in runs if accuracy is not None]
    numbers.parent.mkdir(parents=True, exist_ok=True)
    numbers.write_text(json.dumps(found, indent=1) + "\n")
    return found


if __name__ == "__main__":
    root = Path(__file__).parents[2]
    places = [root / "docs/assets/first_model", root / "measured/guide/first_model.json"]
    if sys.argv[1:]:
        places = [Path(sys.argv[1]), Path(sys.argv[1]) / "first_model.json"]
    print(json.dumps(write(*places), indent=1))
