"""What each command does; `layerzoo_entry.cli` reads the arguments."""

import inspect
import json
from argparse import Namespace

import keras
from rich import traceback
from rich.console import Console
from rich.markup import escape

from layerzoo import foreign, measured
from layerzoo._backend import install
from layerzoo.card import Card
from layerzoo.catalogue import catalogue
from layerzoo_entry import index
from layerzoo_entry.backends import wanted
from layerzoo_entry.usage import UsageError, users

console = Console()


def run(options: Namespace) -> int:
    """Run a command and return its exit code."""
    traceback.install(console=Console(stderr=True), suppress=[keras])
    return COMMANDS[options.command](options)


def card_named(name: str) -> Card:
    """The card of a layer, by its name, or by a name or alias that stands for no other, whatever its case.

    Raises:
        UsageError: no layer has this name, or several do.
    """
    cards = catalogue()
    found = [cards[name]] if name in cards else index.named(cards.values(), name)
    if len(found) == 1:
        return found[0]
    if found:
        advice = f"It stands for {' and '.join(card.name for card in found)}"
    else:
        advice = index.meant(cards.values(), name) or f"The layers are {', '.join(cards)}"
    raise UsageError(
        f"The name must be one that `layerzoo list` prints. Received: {name!r}. {advice}"
    )


def list_layers(options: Namespace) -> int:
    """Print the layers that match a pattern. The exit code is 1 if none match."""
    return index.show(catalogue().values(), options.pattern)


def show(options: Namespace) -> int:
    """Print a layer's documentation, aliases and claims."""
    from layerzoo.cookbook.plain_text import readable

    card = card_named(options.name)
    console.print(f"[bold]{card.name}[/bold]{escape(_signature(card))}", highlight=False)
    _say(foreign.printable(readable(inspect.getdoc(card.layer) or "")))
    if card.aliases:
        _say(f"\nAlso known as: {', '.join(card.aliases)}")
    claims = {
        name: foreign.shown(value) if not callable(value) else "depends on the config"
        for name, value in vars(card.traits).items()
    }
    _say(f"\nClaims: {', '.join(f'{name}={value}' for name, value in claims.items())}")
    return 0


def _signature(card: Card) -> str:
    try:
        text = foreign.line(str(foreign.contained(inspect.signature, card.layer)))
        return text.replace("keras.src.layers.layer.Layer", "keras.layers.Layer")
    except Exception:  # a default of a plug-in's layer can be any object
        return "(...)"


def _say(text: str) -> None:
    console.print(text, markup=False, highlight=False, soft_wrap=True)


def check(options: Namespace) -> int:
    """Check layers on one or several backends."""
    from layerzoo.testing.front import commands

    if options.measured:
        names = [name.rpartition(":")[2] for name in options.names] or list(catalogue())
        measured.demand_ours(options.measured, "verified", names)
    return commands.check(options)


def explain(options: Namespace) -> int:
    """Print what properties claim and how they are checked."""
    from layerzoo.testing.front import commands

    return commands.explain(options)


def replay(options: Namespace) -> int:
    """Rerun one check of a report."""
    from layerzoo.testing.front import commands

    return commands.replay(options)


def infer(options: Namespace) -> int:
    """Print a first draft of a card for a class."""
    from layerzoo.testing.front import commands

    return commands.infer(options)


def selftest(options: Namespace) -> int:
    """Show that the kit can fail."""
    from layerzoo.testing.front import commands

    return commands.selftest(options)


def demo(options: Namespace) -> int:
    """Train, save, reload and plot."""
    from layerzoo.cookbook import demo

    demo.run(options.out, options.seed)
    return 0


def eject(options: Namespace) -> int:
    """Print or write a layer as one standalone file."""
    from layerzoo.cookbook import eject

    source = eject.eject(card_named(options.name), options.package)
    if options.out is None:
        print(source, end="")
        return 0
    with users(OSError):
        edited = options.out.exists() and options.out.read_bytes() != source.encode()
    if edited and not options.force:
        raise UsageError(
            "A layer is ejected to a new file: name another one, or overwrite this one with `--force`. "
            f"Received: --out {options.out}, which exists"
        )
    with users(OSError):
        options.out.write_bytes(source.encode())
    _say(f"wrote {options.out}")
    return 0


def docs(options: Namespace) -> int:
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


def bench(options: Namespace) -> int:
    """Measure layers against their peers. The exit code is 1 if a backend is not installed."""
    from layerzoo.cookbook import bench

    names = [card_named(name).name for name in options.names] or bench.measurable(options.long)
    kind = "cost_long" if options.long else "cost"
    if options.measured:
        measured.demand_ours(options.measured, kind, names)
    backends = wanted(options.backend or [keras.backend.backend()])
    found = bench.measure_on(backends, names, options.pairs, options.long)
    console.print(bench.table(found))
    if options.report:
        with users(OSError):
            options.report.write_text(json.dumps(found, indent=1) + "\n")
    if options.measured:
        for name, each in found.items():
            old = measured.read(options.measured, kind, name)
            measured.write(options.measured, kind, name, bench.merged(old, each))
    absent = [backend for backend in backends if bench.missing(backend)]
    for backend in absent:
        _say(f"not measured: {backend} is not installed. To install it: {install(backend)}")
    return 1 if absent else 0


def evidence(options: Namespace) -> int:
    """Run the experiments of layers, or list them. A claim that is not reproduced is no failure."""
    from pathlib import Path

    from layerzoo.cookbook.evidence import files

    if not options.names:
        return files.listing(_say)
    cards = [card_named(name) for name in options.names]
    out = options.out or (None if options.measured else Path("layerzoo-evidence"))
    files.run(cards, options.seeds, out, options.measured, console)
    return 0


def depth(options: Namespace) -> int:
    """Stack blocks deep. The exit code is 1 if one could not be measured, or is not finite."""
    from pathlib import Path

    from layerzoo.cookbook.depth import files

    cards = [card_named(name) for name in options.names]
    out = options.out or (None if options.measured else Path("layerzoo-depth"))
    return files.run(cards, options.blocks, options.steps, out, options.measured, console, _say)


def generate(options: Namespace) -> int:
    """Train a character model or load it, and write text with it; measure its steps if asked for."""
    from layerzoo.cookbook.generating import command

    backends = wanted(options.backend or [keras.backend.backend()])
    names = ("prompt", "temperature", "seed", "steps")
    given = {name: getattr(options, name) for name in names}
    return command.run_all(
        options.model, options.measured, backends, console, count=options.characters, **given
    )


def export_check(options: Namespace) -> int:
    """Export layers and run the files. The exit code is 1 if one is wrong or was not tried."""
    from layerzoo.cookbook import exporting

    names = [card_named(name).name for name in options.names] or list(catalogue())
    exports = exporting.select(options.only)
    if options.measured:
        measured.demand_ours(options.measured, "exports", names)
    found = exporting.verify(names, exports, options.turn)
    console.print(exporting.table(found))
    for line in (faults := exporting.faults(found)):
        _say(foreign.printable(line))
    if options.measured:
        for name, each in found.items():
            old = measured.read(options.measured, "exports", name)
            measured.write(options.measured, "exports", name, exporting.merged(old, each))
    return 1 if faults else 0


COMMANDS = {
    "list": list_layers,
    "show": show,
    "check": check,
    "explain": explain,
    "replay": replay,
    "infer": infer,
    "selftest": selftest,
    "demo": demo,
    "generate": generate,
    "eject": eject,
    "docs": docs,
    "bench": bench,
    "evidence": evidence,
    "depth": depth,
    "export-check": export_check,
}
