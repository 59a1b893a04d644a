"""What `layerzoo evidence` prints and writes. Nothing is written before an experiment is complete."""

import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from rich.console import Console

from layerzoo import measured
from layerzoo.card import Card
from layerzoo.cookbook.evidence.declared import Evidence, all_evidence, demanded
from layerzoo.cookbook.evidence.plot import plot, standalone
from layerzoo.cookbook.evidence.running import conditions, reproduce, table, verdict
from layerzoo_entry.files import demand_ours
from layerzoo_entry.usage import users

KIND = "evidence"
MARKS = {".json": '{\n "claim": ', ".svg": 'class="lz-drawing"'}
"""What is in each file that the command writes, by its ending."""


def listing(say: Callable[[str], None]) -> int:
    """Print the layers that have an experiment, with their claims. The exit code is 1 if none has."""
    found = list(all_evidence())
    for name, each in found:
        say(f"{name}\n    {each.claim if isinstance(each, Evidence) else each}")
    return 0 if found else 1


def run(
    cards: Sequence[Card],
    seeds: int | None,
    out: Path | None,
    folder: Path | None,
    console: Console,
) -> list[dict]:
    """Run the experiments of some layers; print and write what each one found, and return it.

    Args:
        cards: The layers.
        seeds: How many seeds to take. Default: the experiment's own.
        out: A folder for numbers and plots, or None.
        folder: The folder of measurements that the pages read, or None.
        console: Where to print.

    Raises:
        UsageError: a layer has no experiment, or a file that another program wrote is in the way.
    """
    declared = {card.name: demanded(card) for card in cards}
    demand_free(KIND, declared, out, folder, MARKS)
    every = []
    for name, evidence in declared.items():
        with console.status(name) as status:
            found = reproduce(name, evidence, seeds, progress=status.update)
        console.print(f"\n{name}: {found['claim']} ({found['source']})", markup=False)
        console.print(f"\n{found['task']}", markup=False)
        console.print(table(found), "", highlight=False)
        for sentence, count in conditions(found):
            console.print(f"- {sentence}: {count} seeds", markup=False, highlight=False)
        console.print(verdict(found), style="bold", highlight=False)
        for path in write(KIND, name, found, plot(name, found), out, folder):
            console.print(f"wrote {path}", soft_wrap=True, highlight=False)
        every.append(found)
    return every


def demand_free(
    kind: str, names: Iterable[str], out: Path | None, folder: Path | None, marks: Mapping[str, str]
) -> None:
    """Demand that `write` overwrites nothing but what it wrote.

    Args:
        kind: The kind of measurement.
        names: The layers.
        out: A folder for numbers and plots, or None.
        folder: The folder of measurements that the pages read, or None.
        marks: What is in each file of numbers or plots, by its ending.

    Raises:
        UsageError: a file that another program wrote is in the way.
    """
    names = list(names)
    if out:
        for suffix, mark in marks.items():
            paths = [out / f"{name}{suffix}" for name in names]
            demand_ours(paths, mark, advice="name another folder with `--out`")
    if folder:
        measured.demand_ours(folder, kind, names)


def write(
    kind: str, name: str, found: dict, drawing: str, out: Path | None, folder: Path | None
) -> list[Path]:
    """Write what was found, and its plot, and return the paths. The arguments are those of `demand_free`."""
    paths = []
    if out:
        paths.append(_write(out, name, found))
        if drawing:
            paths.append(_place(out / f"{name}.svg", standalone(drawing)))
    if folder:
        paths.append(_write(folder / kind, name, found))
    return paths


def _write(folder: Path, name: str, found: dict) -> Path:
    """Write the numbers, in the form of every other measurement."""
    with tempfile.TemporaryDirectory() as scratch:
        text = measured.write(Path(scratch), "found", name, found).read_text(encoding="utf-8")
    return _place(folder / f"{name}.json", text)


def _place(path: Path, text: str) -> Path:
    """Write a file in one step, so that an interrupt leaves the old one or the new one."""
    part = path.with_name(f".{path.name}.part")
    with users(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            part.write_text(text, encoding="utf-8")
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    return path
