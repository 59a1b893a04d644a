"""What each command does; `layerzoo_entry.cli` reads the arguments."""

import inspect
import json

import keras
from rich import traceback
from rich.console import Console
from rich.table import Table

from layerzoo import measured
from layerzoo.card import Card
from layerzoo.catalogue import catalogue, find

console = Console()


def run(options) -> int:
    """Run a command and return its exit code."""
    traceback.install(console=Console(stderr=True), suppress=[keras])
    return COMMANDS[options.command](options)


def card_named(name: str) -> Card:
    """The card of a layer.

    Raises:
        ValueError: if no layer has this name.
    """
    cards = catalogue()
    if name not in cards:
        raise ValueError(
            f"The name must be one that `layerzoo list` prints. Received: {name!r}. "
            f"The layers are {', '.join(cards)}"
        )
    return cards[name]


def list_layers(options) -> int:
    """Print a table of the layers that match a pattern. The exit code is 1 if none match."""
    cards = find(options.pattern)
    table = Table("layer", "family", "what it does", "paper", "year", box=None)
    for card in cards:
        table.add_row(card.name, card.family, card.summary, card.paper, str(card.year or ""))
    console.print(table if cards else f"No layer matches {options.pattern!r}.")
    return 0 if cards else 1


def show(options) -> int:
    """Print a layer's documentation and claims."""
    card = card_named(options.name)
    console.print(f"[bold]{card.name}[/bold]{inspect.signature(card.layer)}", highlight=False)
    console.print(inspect.getdoc(card.layer), markup=False, highlight=False, soft_wrap=True)
    claims = {
        name: value if not callable(value) else "depends on the config"
        for name, value in vars(card.traits).items()
    }
    written = ", ".join(f"{k}={v!r}" for k, v in claims.items())
    console.print(f"\nClaims: {written}", markup=False, highlight=False, soft_wrap=True)
    return 0


def check(options) -> int:
    """Check layers on one or several backends."""
    from layerzoo.testing import commands

    if options.measured:
        names = [name.rpartition(":")[2] for name in options.names] or list(catalogue())
        measured.demand_ours(options.measured, "verified", names)
    return commands.check(options)


def explain(options) -> int:
    """Print what properties claim and how they are checked."""
    from layerzoo.testing import commands

    return commands.explain(options)


def replay(options) -> int:
    """Rerun one check of a report."""
    from layerzoo.testing import commands

    return commands.replay(options)


def infer(options) -> int:
    """Print a first draft of a card for a class."""
    from layerzoo.testing import commands

    return commands.infer(options)


def selftest(options) -> int:
    """Show that the kit can fail."""
    from layerzoo.testing import commands

    return commands.selftest(options)


def demo(options) -> int:
    """Train, save, reload and plot."""
    from layerzoo.cookbook import demo

    demo.run(options.out, options.seed)
    return 0


def eject(options) -> int:
    """Print or write a layer as one standalone file."""
    from layerzoo.cookbook import eject

    source = eject.eject(card_named(options.name), options.package)
    if options.out is None:
        print(source, end="")
        return 0
    if options.out.exists() and not options.force and options.out.read_text("utf-8") != source:
        raise ValueError(
            "A layer is ejected to a new file: name another one, or overwrite this one with `--force`. "
            f"Received: --out {options.out}, which exists"
        )
    options.out.write_text(source, encoding="utf-8")
    console.print(f"wrote {options.out}", markup=False, highlight=False, soft_wrap=True)
    return 0


def docs(options) -> int:
    """Write the generated pages, or list the stale ones."""
    from layerzoo.cookbook import pages

    if not options.check:
        for path in pages.write(options.root, options.package, options.force):
            console.print(f"wrote {path}", soft_wrap=True)
        return 0
    stale = pages.stale(options.root, options.package)
    for path in stale:
        console.print(f"stale: {path}")
    return 1 if stale else 0


def bench(options) -> int:
    """Measure layers against their peers."""
    from layerzoo.cookbook import bench

    names = [card_named(name).name for name in options.names] or list(catalogue())
    kind = "cost_long" if options.long else "cost"
    if options.measured:
        measured.demand_ours(options.measured, kind, names)
    found = bench.measure(names, options.pairs, options.long)
    console.print(bench.table(found))
    if options.report:
        options.report.write_text(json.dumps(found, indent=1) + "\n")
    if options.measured:
        for name, each in found.items():
            measured.write(options.measured, kind, name, each)
    return 0


COMMANDS = {
    "list": list_layers,
    "show": show,
    "check": check,
    "explain": explain,
    "replay": replay,
    "infer": infer,
    "selftest": selftest,
    "demo": demo,
    "eject": eject,
    "docs": docs,
    "bench": bench,
}
