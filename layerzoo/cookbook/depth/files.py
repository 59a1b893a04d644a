"""What `layerzoo depth` prints and writes, one layer after the other."""

from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console

from layerzoo import foreign
from layerzoo.building.arguments import positive_int
from layerzoo.card import Card
from layerzoo.cookbook.depth.declared import Depth, all_depths, demanded
from layerzoo.cookbook.depth.plot import plot
from layerzoo.cookbook.depth.running import SEED, measure, table
from layerzoo.cookbook.evidence import files
from layerzoo.cookbook.evidence.tasks import digits
from layerzoo_entry.usage import users

KIND = "depth"
MARKS = {".json": '{\n "says": ', ".svg": 'class="lz-drawing"'}
"""What is in each file that the command writes, by its ending."""


def run(
    cards: Sequence[Card],
    blocks: int,
    steps: int,
    out: Path | None,
    folder: Path | None,
    console: Console,
    say: Callable[[str], None],
) -> int:
    """Stack the blocks of some layers; print and write what was found.

    What goes wrong with one layer is told at the end, and keeps no other from being measured.

    Args:
        cards: The layers. None of them: every layer that has deep stacks.
        blocks: How many blocks a stack has.
        steps: How many steps it is trained.
        out: A folder for numbers and plots, or None.
        folder: The folder of measurements that the pages read, or None.
        console: Where to print.
        say: Prints a line as it is.

    Returns:
        The exit code: 1 if a layer could not be measured, or a stack did not stay finite.

    Raises:
        UsageError: a layer has no deep stacks, a number is not positive, or a file that another program
            wrote is in the way.
        NotInstalled: scikit-learn is not installed.
    """
    with users(ValueError):
        positive_int(blocks=blocks)
        positive_int(steps=steps)
    chosen: list[tuple[str, Depth | str]] = [(card.name, demanded(card)) for card in cards]
    chosen = chosen or list(all_depths())
    files.demand_free(KIND, [name for name, _ in chosen], out, folder, MARKS)
    digits(SEED)  # which says what to install, if it is missing
    faults = []
    for name, depth in chosen:
        if not isinstance(depth, Depth):
            faults.append(f"{name} {depth}")
            continue
        try:
            with console.status(name) as status:
                found = foreign.contained(measure, name, depth, blocks, steps, status.update)
        except Exception as error:  # a plug-in's block can raise anything
            faults.append(f"{name} cannot be measured: {foreign.told(error)}")
            continue
        console.print(f"\n{name}: {found['says']} ({found['source']})", markup=False)
        console.print(f"\n{found['task']}", markup=False)
        console.print(table(found), "", highlight=False)
        for path in files.write(KIND, name, found, plot(name, {name: found}), out, folder):
            say(f"wrote {path}")
        faults += [
            f"{name}, {row['stack']}, {row['policy']}: a gradient, a loss or a weight is not finite"
            for row in found["rows"]
            if not row["finite"]
        ]
    for fault in faults:
        say(foreign.printable(fault))
    return 1 if faults else 0
