"""A run as JSON: the report of a whole run, and what is kept of one layer below `measured/verified`."""

import dataclasses
import json
from typing import Any

from layerzoo.testing.front.runs import Run


def as_json(run: Run) -> str:
    """The run as JSON, with how much was checked, and what was not."""
    more = {
        "manifest": {backend: dataclasses.asdict(each) for backend, each in run.totals.items()},
        "not_checked": [dataclasses.asdict(each) for each in run.shortfalls],
    }
    return json.dumps(run.to_dict() | more, indent=1) + "\n"


def of_layer(run: Run, label: str) -> dict[str, Any]:
    """What is kept of one layer: its results, without the properties' statements and the seconds."""
    found = run.results[label]
    results = {
        id: {
            backend: {
                key: value
                for key, value in (
                    ("status", result.status),
                    ("samples", result.samples),
                    ("reason", result.message),
                )
                if value
            }
            for backend, result in found[id].items()
        }
        for id in run.properties
        if id in found
    }
    return {
        "profile": run.profile,
        "keras": run.keras,
        "backends": run.backends,
        "results": results,
    }
