"""The lists of layers: catalogue, families, tags, reference, llms.txt, navigation, README."""

import ast
from pathlib import Path

import layerzoo.building
import layerzoo.ops
from layerzoo.catalogue import families
from layerzoo.cookbook.pages.layer import GENERATED, cell, included_picture, page_path

HOUSE = Path(layerzoo.__file__).parent
BEGIN = "layers: written by `layerzoo docs`"
END = "layers: end"


def pages(cards) -> dict[str, str]:
    """The pages that list layers, by their paths relative to the folder of the pages."""
    by_family = _by_family(cards)
    found = {
        f"layers/{family}/index.md": _family_page(family, of_family)
        for family, of_family in by_family.items()
    }
    found["catalogue.md"] = _catalogue_page(cards, by_family)
    found["names.md"] = _names_page(cards)
    found["tags.md"] = f"# Tags\n\n{GENERATED}\n\n<!-- material/tags -->\n"
    found["llms.txt"] = _llms(cards)
    found["reference/ops.md"] = _reference("Functions on tensors", layerzoo.ops)
    found["reference/building.md"] = _reference("Parts for building layers", layerzoo.building)
    return found


def blocks(checkout: Path, cards) -> dict[Path, str]:
    """The files of a checkout that hold a generated block between parts written by hand."""
    by_family = _by_family(cards)
    wanted = {"mkdocs.yml": _navigation(by_family), "README.md": _table(by_family)}
    texts = {
        name: (checkout / name).read_text(encoding="utf-8")
        for name in wanted
        if (checkout / name).is_file()
    }
    return {
        checkout / name: _with_block(text, wanted[name])
        for name, text in texts.items()
        if BEGIN in text and END in text  # a file without the block is somebody else's
    }


def title(family: str) -> str:
    """The name of a family, which begins the docstring of its package."""
    return families().get(family, family).partition(":")[0].capitalize()


def line(family: str) -> str:
    """What a family is, in one sentence."""
    text = families().get(family, "").partition(":")[2].strip()
    return text[:1].upper() + text[1:]


def _by_family(cards):
    return {
        family: [card for card in cards if card.family == family]
        for family in sorted({card.family for card in cards})
    }


def _with_block(text, lines):
    """A text with the lines between the two marks replaced; a mark may be in any kind of comment."""
    old = text.split("\n")
    begin = next(i for i, each in enumerate(old) if BEGIN in each)
    end = next(i for i, each in enumerate(old) if END in each)
    return "\n".join([*old[: begin + 1], *lines, *old[end:]])


def _navigation(by_family):
    lines = []
    for family, cards in by_family.items():
        lines += [f"      - {title(family)}:", f"          - layers/{family}/index.md"]
        lines += [f"          - {card.name}: {page_path(card)}" for card in cards]
    return lines


def _table(by_family):
    rows = ["", "| family | what it holds | layers |", "|---|---|---|"]
    for family, cards in by_family.items():
        names = ", ".join(f"`{card.name}`" for card in cards)
        rows.append(f"| {title(family)} | {line(family)} | {names} |")
    return [*rows, ""]


def _family_page(family, cards):
    return f"# {title(family)}\n\n{GENERATED}\n\n{line(family)}\n\n{_grid(cards, '../../')}\n"


def _catalogue_page(cards, by_family):
    count = f"{len(cards)} layers in layerzoo {layerzoo.__version__}"
    parts = [f"# Catalogue\n\n{GENERATED}\n\n{count}. [By tag](tags.md)."]
    for family, of_family in by_family.items():
        heading = f"## [{title(family)}](layers/{family}/index.md)"
        parts.append(f"{heading}\n\n{_grid(of_family)}")
    rows = ["| Layer | Family | What it does | Paper | Year |", "| --- | --- | --- | --- | ---: |"]
    for card in sorted(cards, key=lambda card: (-(card.year or 0), card.name)):
        rows.append(
            f"| [{card.name}]({page_path(card)}) | {card.family} | {cell(card.summary)} "
            f"| {_paper(card)} | {card.year or ''} |"
        )
    parts.append("## All in one table\n\n" + "\n".join(rows))
    return "\n\n".join(parts) + "\n"


def _grid(cards, up=""):
    """Cards with picture, name, summary and tags; other pages can include each one as a section."""
    return (
        '<div class="lz-cards" markdown>\n\n'
        + "\n\n".join(
            f"<!-- --8<-- [start:{card.name}] -->\n"
            f'<div class="lz-card" markdown>\n\n{included_picture(card)}\n\n'
            f"**[{card.name}]({up}{page_path(card)})**\n\n{card.summary}\n\n"
            f"{' '.join(f'`{tag}`' for tag in card.tags)}\n\n</div>\n"
            f"<!-- --8<-- [end:{card.name}] -->"
            for card in cards
        )
        + "\n\n</div>"
    )


LIBRARIES = {
    "tfa": "TensorFlow Addons",
    "torch": "PyTorch",
    "torchvision": "torchvision",
    "torchtune": "torchtune",
    "timm": "timm",
    "keras_hub": "KerasHub",
    "keras_cv": "KerasCV",
    "flax": "Flax",
    "fla": "flash-linear-attention",
    "flamingo_pytorch": "flamingo-pytorch",
    "x_transformers": "x-transformers",
    "transformers": "transformers",
    "tcn": "keras-tcn",
    "hyper_connections": "hyper-connections",
}
"""What the first words of aliases stand for, in the order of the page. Other words are shown as they are."""


def _names_page(cards):
    """A table for each library, and one of all other names."""
    links = {card.name: f"[{card.name}]({page_path(card)})" for card in cards}
    tables: dict[str, dict[str, list[str]]] = {}
    for card in cards:
        for alias in card.aliases:
            library = alias.partition(".")[0] if "." in alias else ""
            tables.setdefault(library, {}).setdefault(alias, []).append(links[card.name])
    parts = [
        f"# Names\n\n{GENERATED}",
        "What a layer is called elsewhere, and what it is called here. `layerzoo list tfa` and "
        "`layerzoo list SwiGLU` find the same. A layer of the same purpose may have other arguments and "
        "other defaults. Its page says what it computes.",
    ]
    known = [library for library in LIBRARIES if library in tables]
    for library in [*known, *sorted(set(tables) - {"", *LIBRARIES}), ""]:
        rows = ["| Name | Here |", "| --- | --- |"]
        for alias, here in sorted(
            tables.get(library, {}).items(), key=lambda item: item[0].lower()
        ):
            rows.append(f"| {f'`{alias}`' if library else alias} | {', '.join(here)} |")
        title = f"From {LIBRARIES.get(library, library)}" if library else "Other names"
        parts.append(f"## {title}\n\n" + "\n".join(rows))
    return "\n\n".join(parts) + "\n"


def _paper(card):
    if card.paper.startswith("arXiv:"):
        return f"[{card.paper}](https://arxiv.org/abs/{card.paper.removeprefix('arXiv:')})"
    return f"[paper]({card.paper})" if card.paper else ""


def _llms(cards):
    places = {card.name: page_path(card, "/") for card in cards}
    lines = [
        "# layerzoo",
        "",
        "> The layers that Keras does not ship, and a conformance kit for anybody's Keras 3 layer.",
        "",
        "Every layer takes one tensor, works in `keras.Sequential`, and loads without `custom_objects`.",
        "",
        "## Layers",
        "",
        *(f"- [{card.name}]({places[card.name]}): {card.summary}{_also(card)}" for card in cards),
        "",
        "## Guides",
        "",
        "- [Guide](guide/): saving and loading, the three ways to build a model, checking a layer",
        "- [Reference](reference/)",
    ]
    return "\n".join(lines) + "\n"


def _also(card):
    known = [alias for alias in card.aliases if alias.lower() not in card.summary.lower()]
    return f" Also known as {', '.join(known)}." if known else ""


def _reference(heading, package):
    """The modules of a package that the recipes import."""
    modules = "\n\n".join(f"::: {name}" for name in _imported_by_recipes(package.__name__))
    return f"# {heading}\n\n{GENERATED}\n\n{package.__doc__.strip()}\n\n{modules}\n"


def _imported_by_recipes(package):
    found = set()
    for family in families():
        for path in (HOUSE / family).glob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(package):
                    found.add(node.module)
    return sorted(found)
