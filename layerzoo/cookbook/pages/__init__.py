"""The pages of the documentation and other generated text, made from cards, docstrings and measurements.

The generated files are committed, and a test fails if they are stale. Measurements are read from
`measured/` and never computed here.
"""

from pathlib import Path

from layerzoo import measured
from layerzoo.catalogue import catalogue
from layerzoo.cookbook import exports
from layerzoo.cookbook.pages import lists
from layerzoo.cookbook.pages.depth import TITLES, depth_page, depth_picture, picture_path
from layerzoo.cookbook.pages.generating import PAGE as STEPS
from layerzoo.cookbook.pages.generating import PICTURE as STEPS_PICTURE
from layerzoo.cookbook.pages.generating import generating_page, generating_picture
from layerzoo.cookbook.pages.kit import properties_page
from layerzoo.cookbook.pages.layer import (
    DEEP,
    PICTURES,
    PLOT,
    depth_plot,
    evidence_plot,
    layer_page,
    ours,
    page_path,
    picture_file,
    root_of,
)
from layerzoo.cookbook.pages.speed import PICTURE, speed_page, speed_picture
from layerzoo_entry.files import demand_ours
from layerzoo_entry.usage import UsageError, users

HOUSE = Path(exports.__file__).parents[1]
MARKS = {".svg": 'class="lz-drawing"', ".txt": "# layerzoo\n"}
"""What is in each generated file that does not say so in a comment, by its ending."""


def render(docs: Path = Path("docs"), package: str = "layerzoo") -> dict[Path, str]:
    """Every file that is generated for the layers of a package, as its text by its path.

    For layerzoo these are a site, and the lists in other files of the checkout around it. A plug-in gets
    a page and two pictures for each layer, in plain Markdown that needs no theme.

    Args:
        docs: The folder of the pages. The measurements are in `measured` next to it.
        package: `layerzoo`, or the package of a plug-in.

    Raises:
        UsageError: no card has a layer in the package.
    """
    cards = [card for card in catalogue().values() if root_of(card) == package]
    if not cards:
        raise UsageError(
            "`package` must be a package whose layers `layerzoo list` prints. "
            f"Received: package={package!r}"
        )
    folder = docs.parent / "measured"
    pages = {page_path(card): layer_page(card, folder) for card in cards}
    pages |= {
        page_path(card, suffix): picture_file(card, suffix) for card in cards for suffix in PICTURES
    }
    for suffix, draw in ((PLOT, evidence_plot), (DEEP, depth_plot)):
        pages |= {page_path(card, suffix): plot for card in cards if (plot := draw(card, folder))}
    if package != "layerzoo":
        return {docs / path: text for path, text in pages.items()}
    pages |= lists.pages(cards)
    kills, drawing, long = (_all(folder, kind) for kind in ("kills", "drawing", "cost_long"))
    pages["properties.md"] = properties_page(kills, drawing)
    if long:
        pages["guide/speed.md"] = speed_page(long)
        pages |= {PICTURE: picture} if (picture := speed_picture(long)) else {}
    deep = {
        card.name: found for card in cards if (found := measured.read(folder, "depth", card.name))
    }
    if deep:
        pages["guide/depth.md"] = depth_page(
            deep, {card.name: f"../{page_path(card)}" for card in cards}
        )
        pages |= {
            picture_path(each): drawn for each in TITLES if (drawn := depth_picture(deep, each))
        }
    steps = _all(folder, "generating")
    if steps and (docs / STEPS).is_file():  # a page that is written by hand, with blocks in it
        pages[STEPS] = generating_page((docs / STEPS).read_text(encoding="utf-8"), steps)
        pages |= {STEPS_PICTURE: drawn} if (drawn := generating_picture(steps)) else {}
    checkout = lists.blocks(docs.parent, [card for card in cards if ours(card)])
    return {docs / path: text for path, text in pages.items()} | checkout


def _all(folder: Path, kind: str) -> dict[str, dict]:
    """Every measurement of a kind by its name."""
    return {name: measured.read(folder, kind, name) for name in measured.names(folder, kind)}


def write(docs: Path, package: str = "layerzoo", force: bool = False) -> list[Path]:
    """Write the files that are missing or stale, and return their paths.

    Args:
        docs: The folder of the pages.
        package: As for `render`.
        force: Whether to overwrite files that were not generated.

    Raises:
        ValueError: a file was not generated, and `force` is false. No page is written then.
    """
    written = []
    if package == "layerzoo":  # first, because the pages use the exports
        written = _write(
            _exports(docs), force=True
        )  # the files of this package, and of nobody else
    return written + _write(render(docs, package), force)


def stale(docs: Path, package: str = "layerzoo") -> list[Path]:
    """The paths of files that are missing or out of date."""
    due = _exports(docs) if package == "layerzoo" else {}
    return _differing(due | render(docs, package))


def _exports(docs):
    """The re-exports of the checkout that the pages belong to, if it is the running one."""
    same = HOUSE.parent == docs.resolve().parent
    return exports.exports(HOUSE) if same else {}


def _write(texts, force):
    paths = _differing(texts)
    if not force:
        for path in paths:
            mark = MARKS.get(path.suffix, "ritten by `layerzoo docs`")
            demand_ours([path], mark, advice="name another `--root`, or add `--force`")
    for path in paths:
        with users(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(texts[path], encoding="utf-8")
    return paths


def _differing(texts):
    return [
        path
        for path, text in texts.items()
        if not path.is_file() or path.read_text(encoding="utf-8") != text
    ]
