"""The command line: arguments are read here, before Keras is imported; `layerzoo.cli` does the work."""

import argparse
import sys
from importlib.metadata import version
from pathlib import Path

PROFILES = ("smoke", "dev", "ci", "deep")
BACKENDS = ("tensorflow", "jax", "torch")
REPORTS = (".json", ".md", ".html")


def parser() -> argparse.ArgumentParser:
    """The parser of every command."""
    top = argparse.ArgumentParser(
        prog="layerzoo",
        description="Layers that Keras does not ship, and a conformance kit for anybody's Keras layer.",
        epilog="`layerzoo COMMAND --help` explains a command.",
    )
    top.add_argument("--version", action="version", version=f"layerzoo {version('layerzoo')}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)

    each = commands.add_parser("list", help="list the layers, ours and the plug-ins'")
    each.add_argument(
        "pattern", nargs="?", default="*", help="a shell pattern for name, family or tag"
    )

    each = commands.add_parser("show", help="show what a layer is, takes and claims")
    each.add_argument("name", help="the layer's name, as `layerzoo list` prints it")

    each = commands.add_parser(
        "check",
        help="check the properties of layers",
        description=(
            "Check layers property by property. Exit code 0: all hold. 1: one does not, or was not "
            "checked. 2: misuse, or a target that cannot be used; the others are checked all the same."
        ),
    )
    each.add_argument(
        "names",
        nargs="*",
        metavar="TARGET",
        help=(
            "a layer's name as `layerzoo list` prints it, a module with a list CARDS, or module:CARDS, "
            "module:card, module:Layer, importable from here; by default every installed layer"
        ),
    )
    each.add_argument("--only", action="append", default=[], metavar="ID", help="G1, gradient, S*")
    each.add_argument("--profile", choices=PROFILES, default="dev", help="how thoroughly")
    each.add_argument(
        "--backend", action="append", choices=(*BACKENDS, "all"), help="by default Keras's own"
    )
    each.add_argument(
        "--report",
        type=report_file,
        metavar="FILE",
        help="write the results, as .json, .md or .html; may be given several times",
        action="append",
        default=[],
    )
    each.add_argument(
        "--measured",
        type=Path,
        metavar="FOLDER",
        help="write one file for each layer below this folder, as the pages read them: measured",
    )
    each.add_argument(
        "--mutate",
        action="store_true",
        help="also put one defect after another into each layer, and demand that a property sees it",
    )
    each.add_argument("--part", action="store_true", help=argparse.SUPPRESS)  # of another run

    each = commands.add_parser(
        "explain", help="explain properties: what is claimed, how it is checked, what it catches"
    )
    each.add_argument(
        "patterns", nargs="*", metavar="ID", help="G1, gradient, S*; by default a list"
    )

    each = commands.add_parser(
        "replay",
        help="run one failed check again, by the token that its message names",
        description=(
            "Run one check at one sample again. The module that the token names is imported. Exit code "
            "0: it holds now. 1: it fails again. 2: it cannot be run."
        ),
    )
    each.add_argument("token", metavar="TOKEN", help="contract:property:target:sample")
    each.add_argument("--backend", choices=BACKENDS, help="by default Keras's own")

    each = commands.add_parser(
        "selftest",
        help="show that each property can fail here, and accuses no sound layer",
        description=(
            "Run each property on a layer that breaks it, and on a sound one. Exit code 1 if one of them "
            "cannot fail in this environment: what it then says of other layers is worth nothing."
        ),
    )
    each.add_argument("--only", action="append", default=[], metavar="ID", help="G1, gradient, S*")
    each.add_argument(
        "--matrix",
        type=Path,
        metavar="FOLDER",
        help="run everything on everything, and write it into this folder: measured",
    )
    each.add_argument(
        "--check",
        action="store_true",
        help="with --matrix: write nothing; exit 1 if it is no longer so",
    )

    each = commands.add_parser(
        "infer",
        help="print a first card of a class, to run at once and to edit",
        description="Find arguments and inputs with which a layer runs, and print them as a card.",
    )
    each.add_argument("layer", metavar="MODULE:LAYER", help="a class, as in keras.layers:Dense")

    each = commands.add_parser(
        "demo",
        help="train two models on real digits, save, reload, and draw what they attend to",
        description=(
            "Train a Sequential and a branching Functional model of these layers on the 1,797 handwritten "
            "digits that scikit-learn ships, save both, reload them in a new process, compare the "
            "predictions bit by bit, and write the models, the numbers and a figure. Takes about a minute."
        ),
    )
    each.add_argument(
        "--out",
        type=Path,
        default=Path("layerzoo-demo"),
        help="folder for the results [%(default)s]",
    )
    each.add_argument("--seed", type=natural, default=0, help="seed of data split and weights [0]")

    each = commands.add_parser(
        "eject",
        help="write a layer as one file of your own, without layerzoo",
        description="Write a layer and all that it needs as one file that does not import layerzoo.",
    )
    each.add_argument("name", help="the layer's name")
    each.add_argument("--package", default="my_layers", help="registers the class under this name")
    each.add_argument("--out", type=Path, metavar="FILE", help="by default it is printed")

    each = commands.add_parser(
        "new",
        help="write a plug-in package of your own: a layer, its card, its tests",
        description=(
            "Write a package that installs and passes its tests as it stands: one layer, the card that "
            "makes layerzoo list and check it, a test, a README."
        ),
    )
    each.add_argument("name", help="the package's name, as in my-layers; the module is my_layers")
    each.add_argument("--out", type=Path, metavar="FOLDER", help="by default the package's name")

    each = commands.add_parser("docs", help="write the generated pages of the documentation")
    each.add_argument("--root", type=Path, default=Path("docs"), help="the pages' folder [docs]")
    each.add_argument(
        "--package",
        default="layerzoo",
        metavar="MODULE",
        help="whose layers, as in my_layers: a plug-in gets a page and a picture for each [%(default)s]",
    )
    each.add_argument(
        "--check", action="store_true", help="write nothing; exit 1 if a page is stale"
    )

    each = commands.add_parser(
        "bench", help="measure the layers beside what one would use instead, in alternating runs"
    )
    each.add_argument("names", nargs="*", metavar="NAME", help="layers; all of them by default")
    each.add_argument("--pairs", type=int, default=15, help="counted pairs of runs [15]")
    each.add_argument(
        "--long", action="store_true", help="large work, with the peak memory of each side"
    )
    each.add_argument("--report", type=Path, metavar="FILE", help="write the results as JSON")
    each.add_argument(
        "--measured",
        type=Path,
        metavar="FOLDER",
        help="write one file for each layer below this folder, as the pages read them: measured",
    )
    return top


def natural(text: str) -> int:
    """A whole number that is not negative, as argparse asks for a type."""
    if not text.isascii() or not text.isdigit():
        raise argparse.ArgumentTypeError(f"must be a whole number from 0 up. Received: {text!r}")
    return int(text)


def report_file(text: str) -> Path:
    """A file for a report, as argparse asks for a type: told before the run, which may be long."""
    path = Path(text)
    if path.suffix not in REPORTS:
        raise argparse.ArgumentTypeError(f"must end in {', '.join(REPORTS)}. Received: {text!r}")
    if not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"must be in a folder that there is. Received: {text!r}")
    return path


def main(arguments: list[str] | None = None) -> int:
    """Run a command. Exit codes: 0 well, 1 the command's own no, 2 misuse, 130 interrupted."""
    options = parser().parse_args(arguments)
    try:
        if options.command == "new":  # copies files, for which nobody should wait for Keras
            return _new(options)
        from layerzoo import cli

        return cli.run(options)
    except (ValueError, ImportError, OSError) as error:
        if not _ours(error):
            raise
        print(f"layerzoo: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("layerzoo: interrupted", file=sys.stderr)
        return 130


def _new(options) -> int:
    from layerzoo_entry import scaffold

    folder = scaffold.new(options.name, options.out)
    print(f"wrote {folder}; next: pip install -e '{folder}[testing]'")
    return 0


def _ours(error: BaseException) -> bool:
    """Whether the error states a rule to the user, rather than showing a defect of ours."""
    return isinstance(error, OSError) or any(
        sign in str(error) for sign in ("Received:", "layerzoo[", "layerzoo needs")
    )


if __name__ == "__main__":
    sys.exit(main())
