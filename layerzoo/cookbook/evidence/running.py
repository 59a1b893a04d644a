"""Run an experiment with each of its seeds, and say what came of it."""

import datetime
import importlib.metadata
import json
import math
import platform
import statistics
import time
from collections.abc import Callable, Sequence

import keras
from rich.table import Table

from layerzoo.building.arguments import positive_int
from layerzoo.cookbook.evidence.declared import Evidence, Results
from layerzoo_entry.usage import users

DIGITS = 5
"""How many significant digits of a number are kept. The conditions are judged by these."""


def reproduce(
    name: str,
    evidence: Evidence,
    seeds: int | None = None,
    progress: Callable[[str], None] = lambda text: None,
) -> dict:
    """Run an experiment, and return what it claims and found as plain data.

    Args:
        name: The layer's name.
        evidence: The experiment.
        seeds: How many seeds to take, from 0 on. Default: the experiment's own.
        progress: Is told what begins.

    Raises:
        ValueError: `seeds` is not positive, or the experiment's function returns something else than
            `Evidence` says, or another set of names or `x` with another seed.
    """
    chosen: Sequence[int] = evidence.seeds
    if seeds is not None:
        with users(ValueError):
            chosen = range(positive_int(seeds=seeds))
    runs: list[dict] = []
    start = time.process_time()
    for seed in chosen:
        progress(f"{name}, seed {seed}: {len(runs) + 1} of {len(chosen)}")
        keras.utils.set_random_seed(seed)
        runs.append(_valid(evidence, evidence.run(seed)))
        if _names(runs[-1]) != _names(runs[0]):
            raise ValueError(
                "`run` must return the same names with every seed. "
                f"Received: {_names(runs[0])}, {_names(runs[-1])}"
            )
    return {
        "claim": evidence.claim,
        "source": evidence.source,
        "task": evidence.task,
        "limits": evidence.limits,
        "metric": evidence.metric,
        "better": evidence.better,
        "x": evidence.x,
        "seeds": list(chosen),
        "results": {model: _by_x([run[model] for run in runs]) for model in runs[0]},
        "holds": verdicts(evidence, runs),
        **about(f"layerzoo evidence {name}", start),
    }


def about(command: str, start: float) -> dict:
    """How, when and where something was measured.

    Args:
        command: What repeats it.
        start: The process's CPU time when it began, in seconds.
    """
    backend = keras.backend.backend()
    return {
        "command": command,
        "backend": backend,
        "date": datetime.date.today().isoformat(),
        "machine": platform.machine(),
        "versions": {
            "keras": keras.__version__,
            backend: importlib.metadata.version(backend),
            "python": platform.python_version(),
        },
        "cpu_seconds": round(time.process_time() - start),
    }


def verdicts(evidence: Evidence, runs: Sequence[Results]) -> dict[str, list[bool]]:
    """Whether each condition of an experiment is true, by its sentence, in the results of each seed."""
    return {
        sentence: [bool(true(run)) for run in runs] for sentence, true in evidence.holds.items()
    }


def runs_of(found: dict) -> list[dict]:
    """The results of each seed, as `run` returned them."""

    def pick(values, index):
        if isinstance(values, dict):
            return {json.loads(x): pick(each, index) for x, each in values.items()}
        return math.nan if values[index] is None else values[index]

    return [
        {model: pick(values, index) for model, values in found["results"].items()}
        for index in range(len(found["seeds"]))
    ]


def reproduced(found: dict) -> bool:
    """Whether every condition of the claim was true with every seed."""
    return all(all(each) for each in found["holds"].values())


def verdict(found: dict) -> str:
    """Whether the claim was reproduced, in one sentence."""
    count = len(found["seeds"])
    if reproduced(found):
        return f"Reproduced with {'each of ' if count > 1 else ''}{_seeds(count)}."
    good = sum(all(each) for each in zip(*found["holds"].values(), strict=True))
    return f"Not reproduced: all conditions were true with {good} of {_seeds(count)}."


def _seeds(count):
    return f"{count} seed{'s' if count > 1 else ''}"


def conditions(found: dict) -> list[tuple[str, str]]:
    """Each condition of the claim, and with how many seeds it was true."""
    return [
        (sentence, f"true with {sum(each)} of {len(each)}")
        for sentence, each in found["holds"].items()
    ]


def rows(found: dict) -> list[tuple[str, str | None, list[float | None]]]:
    """The numbers, one row for each model and `x`: the model, `x`, and a number for each seed."""
    listed: list[tuple[str, str | None, list[float | None]]] = []
    for model, values in found["results"].items():
        by_x = values if isinstance(values, dict) else {None: values}
        listed += [(model, x, each) for x, each in by_x.items()]
    return listed


def median(values: Sequence[float | None]) -> float | None:
    """The median over the seeds; None if a number was not finite."""
    finite = [value for value in values if value is not None]
    return statistics.median(finite) if len(finite) == len(values) else None


def spread(values: Sequence[float | None]) -> float | None:
    """The largest number minus the smallest one; None if a number was not finite."""
    finite = [value for value in values if value is not None]
    return max(finite) - min(finite) if len(finite) == len(values) else None


def number(value: float | None) -> str:
    """A number with four significant digits, for a reader."""
    if value is None:
        return "not finite"
    if value and not 1e-3 <= abs(value) < 1e6:
        return f"{value:.2e}"
    digits = 3 if value == 0 else max(0, 3 - math.floor(math.log10(abs(value))))
    return f"{value:,.{min(digits, 4) if abs(value) < 1 else digits}f}"


def table(found: dict) -> Table:
    """The numbers as a table."""
    heads = ["model", *([found["x"]] if found["x"] else [])]
    made = Table(title=f"{found['metric']}: {found['better']} is better", box=None)
    for head in heads:
        made.add_column(head)
    for head in (*(f"seed {seed}" for seed in found["seeds"]), "median", "spread"):
        made.add_column(head, justify="right")
    for model, x, values in rows(found):
        cells = [number(each) for each in (*values, median(values), spread(values))]
        made.add_row(model, *([x] if found["x"] else []), *cells)
    return made


def _valid(evidence: Evidence, results) -> dict:
    """The results of a seed, rounded.

    Raises:
        ValueError: they are no results.
    """
    try:
        if not results:
            raise ValueError
        return {
            str(model): {x: _rounded(each) for x, each in values.items()}
            if evidence.x
            else _rounded(values)
            for model, values in results.items()
        }
    except (AttributeError, TypeError, ValueError):
        kind = "a dict of numbers by `x`" if evidence.x else "a number"
        raise ValueError(
            f"`run` must return {kind} for each model, by its name. Received: {results!r}"
        ) from None


def _rounded(value) -> float:
    return float(f"{float(value):.{DIGITS}g}")


def _names(run: dict) -> dict:
    return {
        name: list(values) if isinstance(values, dict) else None for name, values in run.items()
    }


def _by_x(of_seeds: list):
    """A number for each seed, or these by `x`; None is one that is not finite, which JSON cannot hold."""
    if isinstance(of_seeds[0], dict):
        return {str(x): _by_x([each[x] for each in of_seeds]) for x in of_seeds[0]}
    return [value if math.isfinite(value) else None for value in of_seeds]
