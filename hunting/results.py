"""What was found: a file for each layer under `measured/hunting/<library>`, and one about the runs."""

from pathlib import Path

from layerzoo import measured

HOUSE = Path(__file__).parents[1] / "measured" / "hunting"
FOUND = {"keras": HOUSE / "keras", "keras_hub": HOUSE / "keras_hub"}
OF_LAYERS = ("results", "failures", "seconds")
"""What is kept by layer; each is a dict by property, then by backend, or by backend alone."""


def read(folder: Path) -> dict:
    """What the runs say of themselves, and the results of every layer by kind, then by layer."""
    data = measured.read(folder.parent, ".", folder.name)
    for key in OF_LAYERS:
        data[key] = {}
    for name in measured.names(folder.parent, folder.name):
        found = measured.read(folder.parent, folder.name, name)
        for key in OF_LAYERS:
            data[key][name] = found[key]
    return data


def write(folder: Path, found: dict) -> None:
    """Merge what a run found into the files."""
    about = measured.read(folder.parent, ".", folder.name)
    merge(about, {key: value for key, value in found.items() if key not in OF_LAYERS})
    measured.write(folder.parent, ".", folder.name, about)
    for name in found["results"]:
        data = measured.read(folder.parent, folder.name, name)
        for key in OF_LAYERS:
            merge(data, {key: found.get(key, {}).get(name, {})})
        data["failures"] = {
            id: {backend: failure for backend, failure in by_backend.items() if failure}
            for id, by_backend in data["failures"].items()
            if any(by_backend.values())
        }
        measured.write(folder.parent, folder.name, name, data)


def merge(into: dict, found: dict) -> None:
    """Add nested results in place."""
    for key, value in found.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            merge(into[key], value)
        else:
            into[key] = value
