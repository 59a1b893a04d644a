"""The command line. It parses arguments before Keras is imported; `layerzoo.cli` does the work."""

import argparse
import os
import sys
from importlib.metadata import version
from pathlib import Path

from layerzoo_entry import index
from layerzoo_entry.backends import BACKENDS, CHOICES
from layerzoo_entry.files import demand_ours
from layerzoo_entry.usage import UsageError, users

PROFILES = ("smoke", "proof", "dev", "pages", "ci", "deep")
REPORTS = {
    ".json": ('"profile"', '"manifest"'),
    ".md": ("# Conformance report",),
    ".html": ("<title>Conformance report</title>",),
}
"""The endings of report files, and what is in each of them."""


def parser() -> argparse.ArgumentParser:
    """The parser for all commands."""
    top = argparse.ArgumentParser(
        prog="layerzoo",
        description="Layers that Keras does not ship, and a conformance kit for any Keras layer.",
        epilog="`layerzoo COMMAND --help` explains a command.",
    )
    top.add_argument("--version", action="version", version=f"layerzoo {version('layerzoo')}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND")

    each = commands.add_parser("list", help="list the layers of layerzoo and of plug-ins")
    each.add_argument(
        "pattern",
        nargs="?",
        default="*",
        metavar="WORD",
        help="a name, alias, family, tag or library, as in swiglu or tfa; can be a shell pattern",
    )

    each = commands.add_parser("show", help="show a layer's documentation and claims")
    each.add_argument("name", help="the layer's name or alias, as `layerzoo list` prints it")

    each = commands.add_parser(
        "check",
        help="check the properties of layers",
        description=(
            "Check layers property by property. Exit code 0: all properties hold. 1: a property fails, was "
            "not checked, or is inconclusive although the card does not expect it. 2: wrong usage, or a "
            "target that cannot be used; the other targets are still checked."
        ),
    )
    each.add_argument(
        "names",
        nargs="*",
        metavar="TARGET",
        help=(
            "a layer's name as `layerzoo list` prints it, a module with a list CARDS, or module:CARDS, "
            "module:card or module:Layer, importable from here; default: every installed layer"
        ),
    )
    each.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="ID",
        help="a property or group: G1, gradient, S*",
    )
    each.add_argument(
        "--profile",
        choices=PROFILES,
        default="dev",
        help="how thorough the checks are [%(default)s]",
    )
    each.add_argument(
        "--backend",
        action="append",
        choices=CHOICES,
        help="default: the backend that Keras is configured to use",
    )
    each.add_argument(
        "--report",
        type=report_file,
        metavar="FILE",
        help="write the results as .json, .md or .html; can be repeated",
        action="append",
        default=[],
    )
    each.add_argument(
        "--measured",
        type=Path,
        metavar="FOLDER",
        help="write one file per layer below this folder, which the pages read: measured",
    )
    each.add_argument(
        "--mutate",
        action="store_true",
        help="also inject defects into each layer, and fail if any goes undetected",
    )
    each.add_argument("--part", action="store_true", help=argparse.SUPPRESS)  # of another run

    each = commands.add_parser(
        "explain", help="explain properties: what they claim, how they check it, what they catch"
    )
    each.add_argument(
        "patterns", nargs="*", metavar="ID", help="G1, gradient, S*; default: list all of them"
    )

    each = commands.add_parser(
        "replay",
        help="rerun one failed check, by the token in its message",
        description=(
            "Rerun one check on one sample. This imports the module that the token names. Exit code 0: "
            "the check passes now. 1: it fails again or is inconclusive. 2: it cannot be run."
        ),
    )
    each.add_argument("token", metavar="TOKEN", help="contract:property:target:sample")
    each.add_argument(
        "--backend", choices=BACKENDS, help="default: the backend that Keras is configured to use"
    )

    each = commands.add_parser(
        "selftest",
        help="show that each property can fail here, and raises no false alarm",
        description=(
            "Run each property on a layer that breaks it, and on a sound one. Exit code 1 if a property "
            "cannot fail in this environment. Its results on other layers would then be worthless."
        ),
    )
    each.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="ID",
        help="a property or group: G1, gradient, S*",
    )
    each.add_argument(
        "--matrix",
        type=Path,
        metavar="FOLDER",
        help="run every property on every broken and sound layer; write below this folder: measured",
    )
    how = each.add_mutually_exclusive_group()
    how.add_argument(
        "--missing",
        action="store_true",
        help="with --matrix: keep what is written there; run new properties and layers, and those of --only",
    )
    how.add_argument(
        "--check",
        action="store_true",
        help="with --matrix: write nothing; exit 1 if the results have changed",
    )
    each.add_argument(
        "--turn",
        type=natural,
        metavar="N",
        help=(
            "with --check: check each broken layer by its own property, and the N-th quarter of the rest "
            "(default: everything)"
        ),
    )

    each = commands.add_parser(
        "infer",
        help="print a first draft of a card for a class, ready to run and to edit",
        description="Find arguments and inputs that a layer accepts, and print them as a card.",
    )
    each.add_argument("layer", metavar="MODULE:LAYER", help="a class, as in keras.layers:Dense")

    each = commands.add_parser(
        "demo",
        help="train two models on real digits, save and reload them, and plot what they attend to",
        description=(
            "Train a Sequential and a branching Functional model of these layers on the 1,797 handwritten "
            "digits that scikit-learn ships. Save both, reload them in a new process and compare the "
            "predictions bit by bit. Write the models, the numbers and a figure. Takes about a minute."
        ),
    )
    each.add_argument(
        "--out",
        type=Path,
        default=Path("layerzoo-demo"),
        help="folder for the results [%(default)s]",
    )
    each.add_argument(
        "--seed", type=natural, default=0, help="seed for the data split and the weights [0]"
    )

    each = commands.add_parser(
        "generate",
        help="train a small model on English, and write text with it step by step",
        description=(
            "Train a character model on the help texts that every CPython has, which takes about a minute, "
            "and save it. Where a file already holds the model, load it instead. Then write text with a "
            "state that keeps what was read, and time that beside reading everything again. Ctrl-C during "
            "the training saves the model as it is."
        ),
    )
    each.add_argument(
        "model",
        nargs="?",
        type=Path,
        default=Path("layerzoo-generate.keras"),
        metavar="FILE",
        help="file of the model; no file of another program is overwritten [%(default)s]",
    )
    each.add_argument(
        "--prompt", default="The statement ", help="what the text begins with [%(default)r]"
    )
    each.add_argument(
        "--characters",
        type=natural,
        default=400,
        metavar="N",
        help="how many to write [%(default)s]",
    )
    each.add_argument(
        "--temperature",
        type=float,
        default=0.5,
        help="what the scores are divided by; 0 takes the likeliest character [%(default)s]",
    )
    each.add_argument("--seed", type=natural, default=0, help="seed of weights and text [0]")
    each.add_argument(
        "--steps", type=natural, default=500, metavar="N", help="steps of training [%(default)s]"
    )
    each.add_argument(
        "--backend",
        action="append",
        choices=CHOICES,
        help="default: the backend that Keras is configured to use",
    )
    each.add_argument(
        "--measured",
        type=Path,
        metavar="FOLDER",
        help="also measure time and memory of a step, beside KerasHub's if it is installed, and write "
        "that below this folder, which the pages read: measured",
    )

    each = commands.add_parser(
        "eject",
        help="write a layer as one file that does not need layerzoo",
        description="Write a layer and everything it needs as one file that does not import layerzoo.",
    )
    each.add_argument("name", help="the layer's name")
    each.add_argument(
        "--package",
        default="my_layers",
        help="package name to register the class under [%(default)s]",
    )
    each.add_argument("--out", type=Path, metavar="FILE", help="default: print it")
    each.add_argument("--force", action="store_true", help="overwrite FILE if it exists")

    each = commands.add_parser(
        "new",
        help="write your own plug-in package: a layer, its card, its tests",
        description=(
            "Write a package that can be installed and passes its tests right away: one layer, the card "
            "that lets layerzoo list and check it, a test and a README."
        ),
    )
    each.add_argument("name", help="the package's name; my-layers gets the module my_layers")
    each.add_argument("--out", type=Path, metavar="FOLDER", help="default: the package's name")

    each = commands.add_parser("docs", help="write the generated pages of the documentation")
    each.add_argument("--root", type=Path, default=Path("docs"), help="folder of the pages [docs]")
    each.add_argument(
        "--package",
        default="layerzoo",
        metavar="MODULE",
        help="package with the layers, as in my_layers; each gets a page and a picture [%(default)s]",
    )
    each.add_argument(
        "--check", action="store_true", help="write nothing; exit 1 if a page is stale"
    )
    each.add_argument(
        "--force",
        action="store_true",
        help="also overwrite files that `layerzoo docs` did not write",
    )

    each = commands.add_parser(
        "bench", help="measure each layer against what you would use instead, in alternating runs"
    )
    each.add_argument("names", nargs="*", metavar="NAME", help="layers; default: all of them")
    each.add_argument(
        "--backend",
        action="append",
        choices=CHOICES,
        help="default: the backend that Keras is configured to use",
    )
    each.add_argument("--pairs", type=int, default=15, help="number of measured pairs of runs [15]")
    each.add_argument(
        "--long", action="store_true", help="large workloads, with the peak memory of each"
    )
    each.add_argument("--report", type=bench_file, metavar="FILE", help="write the results as JSON")
    each.add_argument(
        "--measured",
        type=Path,
        metavar="FOLDER",
        help="write one file per layer below this folder, which the pages read: measured",
    )

    each = commands.add_parser(
        "evidence",
        help="train a layer and a baseline, and say whether a claim of its paper holds",
        description=(
            "Run the experiments of layers: train each layer and what it is compared with from fixed seeds, "
            "on data that packages ship or that is made on the spot. Print the numbers, and write them and "
            "a plot. Exit code 0: the experiments ran, whether or not the claims were reproduced."
        ),
    )
    each.add_argument(
        "names", nargs="*", metavar="NAME", help="layers; default: list those with an experiment"
    )
    each.add_argument(
        "--seeds", type=natural, metavar="N", help="use the seeds 0 to N - 1 (default: 3 seeds)"
    )
    each.add_argument(
        "--out",
        type=Path,
        metavar="FOLDER",
        help="folder for numbers and plot (default: layerzoo-evidence, unless --measured is given)",
    )
    each.add_argument(
        "--measured",
        type=Path,
        metavar="FOLDER",
        help="write one file per layer below this folder, which the pages read: measured",
    )

    each = commands.add_parser(
        "depth",
        help="stack blocks deep: is the first one reached by a gradient, and does the stack train?",
        description=(
            "Stack the blocks of layers, in float32 and mixed_bfloat16. Record the norm of the gradient at "
            "each block, train the stack for a few steps on handwritten digits, and record each loss. "
            "Exit code 1: something is not finite, or could not be measured."
        ),
    )
    each.add_argument(
        "names", nargs="*", metavar="NAME", help="layers; default: all that have deep stacks"
    )
    each.add_argument(
        "--blocks", type=natural, default=64, metavar="N", help="blocks in a stack [%(default)s]"
    )
    each.add_argument(
        "--steps", type=natural, default=20, metavar="N", help="steps of training [%(default)s]"
    )
    each.add_argument(
        "--out",
        type=Path,
        metavar="FOLDER",
        help="folder for numbers and plots (default: layerzoo-depth, unless --measured is given)",
    )
    each.add_argument(
        "--measured",
        type=Path,
        metavar="FOLDER",
        help="write one file per layer below this folder, which the pages read: measured",
    )

    each = commands.add_parser(
        "export-check",
        help="export layers, run the files, and compare what they compute with the layers",
        description=(
            "Export each layer from each backend to each format. Run each file by the runtime of its format "
            "at several lengths, and compare. This needs the extra `export`. Exit code 1: a file is wrong or "
            "cannot be made, although the card does not expect that, or was not tried."
        ),
    )
    each.add_argument("names", nargs="*", metavar="NAME", help="layers; default: all of them")
    each.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="PATTERN",
        help="format@backend: onnx@torch, litert@*, *@tensorflow; can be repeated",
    )
    each.add_argument(
        "--turn",
        type=natural,
        metavar="N",
        help="only a part, for CI: the plain layers at three lengths, and other configs in each turn",
    )
    each.add_argument(
        "--measured",
        type=Path,
        metavar="FOLDER",
        help="write one file per layer below this folder, which the pages read: measured",
    )
    return top


def natural(text: str) -> int:
    """An argparse type: an integer of at least 0."""
    if not text.isascii() or not text.isdigit():
        raise argparse.ArgumentTypeError(f"must be an integer of at least 0. Received: {text!r}")
    return int(text)


def report_file(text: str) -> Path:
    """An argparse type: a report file. It is checked before the run, which may take long."""
    path = Path(text)
    if path.suffix not in REPORTS:
        raise argparse.ArgumentTypeError(f"must end in {', '.join(REPORTS)}. Received: {text!r}")
    return _writable(path, *REPORTS[path.suffix])


def bench_file(text: str) -> Path:
    """An argparse type: a file for measurements, checked before the run too."""
    return _writable(Path(text), '"versions"', '"rows"')


def _writable(path: Path, *marks: str) -> Path:
    if not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"must be in an existing folder. Received: {str(path)!r}")
    try:
        demand_ours([path], *marks)
    except UsageError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return path


def main(arguments: list[str] | None = None) -> int:
    """Run a command. Exit codes: 0 success, 1 a negative result, 2 wrong usage, 130 interrupted."""
    options = parser().parse_args(arguments)
    if options.command is None:
        parser().print_help()
        return 0
    try:
        if options.command == "new":  # it only copies files, so it need not wait for Keras
            return _new(options)
        if options.command == "list" and index.only_ours():  # nor need this
            return index.show(index.ours(), options.pattern)
        from layerzoo import cli

        return cli.run(options)
    except UsageError as error:
        print(f"layerzoo: error: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError as error:  # what reads the output, such as `head`, has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        print(f"layerzoo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("layerzoo: interrupted", file=sys.stderr)
        return 130


def _new(options) -> int:
    from layerzoo_entry import scaffold

    with users(OSError):
        folder = scaffold.new(options.name, options.out)
    print(f"wrote {folder}; next: pip install -e '{folder}[testing]'")
    return 0


if __name__ == "__main__":
    sys.exit(main())
