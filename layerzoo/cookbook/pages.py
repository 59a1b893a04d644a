"""The pages of the layers: text made from cards, docstrings and two files of measurements.

Pages are committed and a test says when they are stale. What was measured (`docs/assets/verified.json`
and `docs/assets/cost.json`) is read here and never computed.
"""

import ast
import inspect
import json
import re
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path

import keras

from layerzoo.catalogue import Card, catalogue
from layerzoo.cookbook.drawing import draw, snake_case
from layerzoo.cookbook.kit_pages import properties_page
from layerzoo.cookbook.speed_page import speed_page

SECTIONS = (
    "Use when",
    "Avoid when",
    "Args",
    "Call arguments",
    "Input shape",
    "Output shape",
    "Masking",
    "Raises",
    "Example",
    "Reference",
)
FAMILIES = {
    "attention": "Layers in which positions look at each other, and the parts they need.",
    "residual": "Layers that add what they compute to what they were given, and the parts they need.",
    "gated": "Layers in which one half of the computation decides how much of the other passes.",
}
GENERATED = "<!-- Written by `layerzoo docs` from the layer's card and docstring. Edit those. -->"
SIZES = {"b": 13, "t": 17, "s": 19, "y": 23, "x": 29}
"""Sizes by which a drawing tells axes apart: primes that no layer has by chance."""

SHOWN = {"b": 2, "n": 4, "t": 10, "s": 12, "y": 8, "x": 8}
WIDTH = 64
STATUSES = {
    "passed": "passed",
    "failed": "**failed**",
    "expected_failure": "expected failure",
    "unexpected_pass": "**passed, though expected to fail**",
    "not_applicable": "does not apply",
    "inconclusive": "inconclusive",
}
BACKENDS = {"tensorflow": "TensorFlow", "jax": "JAX", "torch": "PyTorch"}


@dataclass(frozen=True)
class Plain:
    """The layer as the pages show it: how it is written, what is imported for it, what goes in."""

    code: str
    names: list[str]
    module: str
    axes: dict[str, list[str]]
    sizes: dict[str, int]

    def shape(self, name: str, sizes: dict[str, int | None]) -> tuple[int | None, ...]:
        """The shape of one of the inputs, with some sizes replaced, also by None."""
        return tuple({**self.sizes, **sizes}[letter] for letter in self.axes[name])

    def layer(self) -> keras.layers.Layer:
        """A new layer."""
        scope = {"keras": keras, **vars(sys.modules[self.module])}
        return eval(self.code, scope)


def render(docs: Path = Path("docs"), package: str = "layerzoo") -> dict[str, str]:
    """The pages of every card whose layer lives in a package, by their paths under `docs`.

    Those of layerzoo make a site. A plug-in gets a page and a picture for each layer, in plain Markdown
    that needs no theme and links to nothing of ours.

    Args:
        docs: The folder that holds what was measured: in `assets` for layerzoo, in itself for a plug-in.
        package: `layerzoo`, or the package of a plug-in.

    Raises:
        ValueError: no card's layer lives in the package.
    """
    cards = [card for card in catalogue().values() if _root(card) == package]
    if not cards:
        raise ValueError(
            "`package` must be a package whose layers have cards, as `layerzoo list` prints it. "
            f"Received: package={package!r}"
        )
    folder = docs / "assets" if package == "layerzoo" else docs
    measured = {name: _measured(folder / f"{name}.json") for name in ("verified", "cost")}
    if package != "layerzoo":
        pages = {_path(card): _layer_page(card, measured) for card in cards}
        return pages | {_path(card, ".svg"): _picture_file(card) for card in cards}
    order = [*FAMILIES, *(card.family for card in cards)]
    families = {
        family: of_family
        for family in dict.fromkeys(order)
        if (of_family := [card for card in cards if card.family == family])
    }
    pages = {_path(card): _layer_page(card, measured) for card in cards}
    for family, of_family in families.items():
        pages[f"layers/{family}/index.md"] = _family_page(family, of_family)
    pages["catalogue.md"] = _catalogue_page(cards, families)
    pages["tags.md"] = f"# Tags\n\n{GENERATED}\n\n<!-- material/tags -->\n"
    pages["properties.md"] = properties_page(
        "<!-- Written by `layerzoo docs` from the docstrings of the kit. Edit those. -->",
        _measured(folder / "kills.json"),
    )
    if report := _measured(folder / "cost_long.json"):
        source = "<!-- Written by `layerzoo docs` from docs/assets/cost_long.json. -->"
        pages["guide/speed.md"] = speed_page(source, report)
    pages["llms.txt"] = _llms(cards)
    return pages


def write(docs: Path, package: str = "layerzoo") -> list[str]:
    """Write the pages that are missing or stale, and give their paths."""
    pages = render(docs, package)
    paths = _differing(docs, pages)
    for path in paths:
        (docs / path).parent.mkdir(parents=True, exist_ok=True)
        (docs / path).write_text(pages[path], encoding="utf-8")
    return paths


def stale(docs: Path, package: str = "layerzoo") -> list[str]:
    """The paths of pages that are missing, or differ from what their card says now."""
    return _differing(docs, render(docs, package))


def _differing(docs, pages):
    return [
        path
        for path, text in pages.items()
        if not (docs / path).is_file() or (docs / path).read_text(encoding="utf-8") != text
    ]


def sections(docstring: str) -> dict[str, str]:
    """A layer's docstring by section; the text before the first one, less its first line, is `""`.

    Text is given with its indentation taken away.
    """
    lines = inspect.cleandoc(docstring).split("\n")
    found: dict[str, list[str]] = {"": []}
    section = ""
    for line in lines[1:]:
        if line.endswith(":") and line[:-1] in SECTIONS:
            section = line[:-1]
            found[section] = []
        else:
            found[section].append(line)
    return {name: textwrap.dedent("\n".join(lines)).strip() for name, lines in found.items()}


def entries(text: str) -> dict[str, str]:
    """The `name: meaning` entries of a section, each in one line."""
    found: dict[str, str] = {}
    name = ""
    for line in text.split("\n"):
        start = re.match(r"([*\w]+): (.*)", line)
        if start:
            name = start[1]
            found[name] = start[2]
        elif name and line.strip():
            found[name] += " " + line.strip()
    return found


def plain(card: Card) -> Plain:
    """The layer of a card as its docstring's example writes it, or else its plain config."""
    module = _root(card)
    if card.name not in vars(sys.modules[module]):
        module = card.layer.__module__
    config = card.configs(lambda options: options[0])
    code = _example_call(card)
    sizes = {letter: SHOWN.get(letter, WIDTH) for axes in card.axes.values() for letter in axes}
    if code is None:
        code = f"{card.name}({', '.join(_argument(*item) for item in _changed(card, config))})"
        sizes |= card.dims(lambda options: options[0], config)
    names = {node.id for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Name)}
    return Plain(code, sorted(names - {"keras"}), module, card.axes, sizes)


def _example_call(card):
    """The first call of the layer in its docstring's example, as it is written there."""
    example = sections(card.layer.__doc__ or "").get("Example", "")
    code = "".join(re.findall(r"```python\n(.*?)```", example, re.DOTALL))
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == card.name:
            return ast.get_source_segment(code, node)
    return None


def _changed(card, config):
    parameters = inspect.signature(card.layer).parameters
    return [item for item in config.items() if parameters[item[0]].default != item[1]]


def _argument(name, value):
    if isinstance(value, keras.layers.Layer):
        raise ValueError(
            "A config that holds a layer cannot be written as code; give the layer's docstring an "
            f"`Example` that calls it. Received: {name}={value!r}"
        )
    return f"{name}={json.dumps(value) if isinstance(value, str) else repr(value)}"


def _layer_page(card, measured):
    doc = sections(card.layer.__doc__ or "")
    shown = plain(card)
    if _ours(card):
        picture = f'<figure class="lz-picture">{_picture(shown)}</figure>'
        generated = GENERATED
    else:
        picture = f"![What {card.name} computes]({_path(card, '.svg').removeprefix('layers/')})"
        generated = GENERATED.replace("docs`", f"docs --package {_root(card)}`")
    parts = [
        _front_matter(card),
        f"# {card.name}\n\n{generated}\n\n{card.summary}",
        picture,
        f"## Equation\n\n{doc['']}",
        _when(doc),
        _usage(card, shown),
        _recipe(card),
        _configuration(card, doc),
        _tensors(doc),
        _verified(card, measured["verified"]),
        _cost(card, measured["cost"]),
        f"## Paper\n\n{doc.get('Reference', '')}",
    ]
    return "\n\n".join(part.strip() for part in parts if part) + "\n"


def _front_matter(card):
    tags = "".join(f"\n  - {tag}" for tag in card.tags)
    description = json.dumps(card.summary, ensure_ascii=False)
    return f"---\ndescription: {description}\ntags:{tags}\n---" if tags else ""


def _picture(shown):
    inputs = {
        name: {letter: SIZES.get(letter, shown.sizes[letter]) for letter in letters}
        for name, letters in shown.axes.items()
    }
    return draw(shown.layer(), inputs)


def _picture_file(card):
    """The drawing for a page that shows it as an image, which takes no colour from the page's text."""
    paper = '<rect width="100%" height="100%" fill="white" stroke="none"/><title>'
    return _picture(plain(card)).replace("<title>", paper, 1) + "\n"


def _when(doc):
    parts = []
    for section, title in (("Use when", "Use it when"), ("Avoid when", "Avoid it when")):
        if section in doc:
            parts.append(f"**{title}**\n\n{doc[section]}")
    return "## When to use it\n\n" + "\n\n".join(parts)


def _usage(card, shown):
    tabs = {
        "Sequential": _sequential(card, shown),
        "Functional": _functional(card, shown),
        "Subclassed": _subclassed(card, shown),
        "Save and load": _save_and_load(card, shown),
    }
    text = "## Use it\n"
    for title, code in tabs.items():
        fence = f"```python\n{code.strip()}\n```"
        if _ours(card):
            text += f'\n=== "{title}"\n\n{textwrap.indent(fence, "    ")}\n'
        else:
            text += f"\n### {title}\n\n{fence}\n"
    return text


def _imports(shown, numpy=True):
    extra = "import numpy as np\n" if numpy else ""
    return f"import keras\n{extra}from {shown.module} import {', '.join(shown.names)}\n"


def _input(card, shown, name):
    """The shape of an input as `keras.Input` takes it: without the batch, None where it may vary."""
    unknown = _dynamic(card)
    known = shown.shape(name, {})[1:]
    sizes = [
        None if letter in unknown and letter in SHOWN else size
        for letter, size in zip(shown.axes[name][1:], known, strict=True)
    ]
    sizes[-1] = known[-1]  # which `Dense` must know
    return f"({', '.join(map(str, sizes))}{',' if len(sizes) == 1 else ''})"


def _dynamic(card):
    """The axes of the plain layer whose size may be unknown."""
    return card.traits.under(card.configs(lambda options: options[0])).dynamic.split()


def _random(shown, name):
    return f'rng.normal(size={shown.shape(name, {})}).astype("float32")'


def _sequential(card, shown):
    first = next(iter(shown.axes))
    out = _output_shape(shown, [first], {})
    return f"""\
{_imports(shown)}
model = keras.Sequential([
    keras.Input({_input(card, shown, first)}),
    {shown.code},
])
x = np.random.default_rng(0).normal(size={shown.shape(first, {})})
print(model.predict(x, verbose=0).shape)
#> {out}
"""


def _functional(card, shown):
    inputs = "\n".join(
        f'{name} = keras.Input({_input(card, shown, name)}, name="{name}")' for name in shown.axes
    )
    names = list(shown.axes)
    unknown = dict.fromkeys(set(SHOWN).intersection([*_dynamic(card), "b"]))
    out = _output_shape(shown, names, unknown)
    everything = names[0] if len(names) == 1 else f"[{', '.join(names)}]"
    return f"""\
{_imports(shown, numpy=False)}
{inputs}
features = {shown.code}({_call(names)})
outputs = keras.layers.Dense(1)(features)
model = keras.Model({everything}, outputs)
print(model.output_shape)
#> {(*out[:-1], 1)}
"""


def _call(names):
    """The inputs as a call takes them: the first by place, the others by name."""
    return ", ".join([names[0], *(f"{name}={name}" for name in names[1:])])


def _subclassed(card, shown):
    names = list(shown.axes)
    attribute = snake_case(card.name)
    arrays = "\n".join(f"{name} = {_random(shown, name)}" for name in names)
    data = names[0] if len(names) == 1 else f"[{', '.join(names)}]"
    out = _output_shape(shown, names, {})
    unpack = "" if len(names) == 1 else f"        {', '.join(names)} = inputs\n"
    handed = "inputs" if len(names) == 1 else _call(names)
    return f"""\
{_imports(shown)}

class Model(keras.Model):
    def __init__(self):
        super().__init__()
        self.{attribute} = {shown.code}
        self.head = keras.layers.Dense(1)

    def call(self, inputs):
{unpack}        return self.head(self.{attribute}({handed}))


rng = np.random.default_rng(0)
{arrays}
targets = rng.normal(size={(*out[:-1], 1)})
model = Model()
model.compile(optimizer="adam", loss="mse")
history = model.fit({data}, targets, epochs=2, verbose=0)
print(len(history.history["loss"]))
#> 2
"""


def _save_and_load(card, shown):
    first = next(iter(shown.axes))
    return f"""\
{_imports(shown)}
model = keras.Sequential([
    keras.Input({_input(card, shown, first)}),
    {shown.code},
])
model.save("model.keras")
again = keras.saving.load_model("model.keras")

x = np.random.default_rng(0).normal(size={shown.shape(first, {})})
same = np.array_equal(model.predict(x, verbose=0), again.predict(x, verbose=0))
print(type(again.layers[-1]).__name__, same)
#> {card.name} True
"""


def _output_shape(shown, names, sizes):
    inputs = {name: keras.KerasTensor(shown.shape(name, sizes)) for name in names}
    outputs = shown.layer()(**inputs)
    return tuple(keras.tree.flatten(outputs)[0].shape)


def _recipe(card):
    path = _source(card)
    if _ours(card):
        package = "my_layers"
        fence = textwrap.indent(f'````python linenums="1"\n--8<-- "{path}"\n````', "    ")
        file = f'???+ quote "`{path}`"\n\n{fence}'
    else:
        package = "mine"
        code = inspect.getsource(sys.modules[card.layer.__module__]).strip()
        file = f"`{path}`:\n\n````python\n{code}\n````"
    return f"""\
## The recipe

One file holds the layer. This command writes it, with the parts it imports, as a file that needs only Keras:

```console
$ layerzoo eject {card.name} --package {package}
```

{file}"""


def _configuration(card, doc):
    meanings = entries(doc.get("Args", ""))
    rows = ["| Argument | Type | Default | Meaning |", "| --- | --- | --- | --- |"]
    for name, kind, default in _parameters(card.layer):
        meaning = _cell(meanings.get(name, ""))
        kind, default = _code(kind, _ours(card)), _code(default, _ours(card))
        rows.append(f"| `{name}` | {kind} | {default or 'required'} | {meaning} |")
    if "**kwargs" in meanings:
        rows.append(f"| `**kwargs` | | | {_cell(meanings['**kwargs'])} |")
    return (
        "## Configuration\n\n"
        + "\n".join(rows)
        + "\n\n`get_config` gives every one of these back as it was passed, and `from_config` makes the "
        "same layer from them."
    )


def _parameters(layer):
    """The name, type and default of each constructor argument, as the source writes them."""
    source = textwrap.dedent(inspect.getsource(layer.__init__))
    function = next(node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef))
    arguments = function.args
    positional = [*arguments.posonlyargs, *arguments.args][1:]
    required = len(positional) - len(arguments.defaults)
    defaults = [None] * required + arguments.defaults + arguments.kw_defaults
    for argument, default in zip([*positional, *arguments.kwonlyargs], defaults, strict=True):
        yield (
            argument.arg,
            ast.get_source_segment(source, argument.annotation) if argument.annotation else "",
            ast.get_source_segment(source, default) if default else "",
        )


def _cell(text):
    """Text for a cell of a table, where a bar outside of code would end the cell."""
    return re.sub(r"(`[^`]*`)|\|", lambda found: found[1] or "\\|", text)


def _code(text, ours):
    if "|" in text and not ours:  # where our site is not, a bar ends the cell in code too
        return f"<code>{text.replace('|', '&#124;')}</code>"
    return f"`{text}`" if text else ""


def _tensors(doc):
    calls = entries(doc.get("Call arguments", ""))
    rows = "\n".join(f"| `{name}` | {_cell(meaning)} |" for name, meaning in calls.items())
    return f"""\
## Shapes, masks, precision

| Call argument | Meaning |
| --- | --- |
{rows}

- **Input shape.** {_line(doc.get("Input shape"))}
- **Output shape.** {_line(doc.get("Output shape"))}
- **Mask.** {_line(doc.get("Masking"))}
- **Precision.** Outputs have the compute dtype of the layer's dtype policy, weights its variable dtype.
- **Errors.** {_line(doc.get("Raises"))}"""


def _line(text):
    return " ".join((text or "").split())


def _verified(card, report):
    head = "## Properties verified\n\n"
    results = report.get("layers", {}).get(card.name)
    if not results:
        name, folder = ("", "docs/assets") if _ours(card) else (f"{card.name} ", "docs")
        return head + (
            f"Not measured yet: `layerzoo check {name}--profile ci --backend all "
            f"--report {folder}/verified.json` measures it."
        )
    backends = list(report["backends"])
    versions = ", ".join(f"{BACKENDS[name]} {report['backends'][name]}" for name in backends)
    checks = [result for ids in results.values() for result in ids.values()]
    due = [each for each in checks if each["status"] != "not_applicable"]
    passed = sum(each["status"] == "passed" for each in due)
    text = (
        f"{passed} of the {len(due)} checks that apply passed, on "
        f"{sum(each['samples'] for each in due):,} samples in all: "
        f"{len(results)} properties, Keras {report['keras']} with {versions}, profile "
        f"`{report['profile']}`. The number is that of the samples.\n\n"
    )
    rows = [
        f"| Property | {' | '.join(BACKENDS[name] for name in backends)} |",
        f"| --- |{' --- |' * len(backends)}",
    ]
    for identity, by_backend in sorted(results.items(), key=_reading_order):
        law = report["properties"][identity]
        cells = [_result(by_backend.get(name)) for name in backends]
        name = f"**{identity}** {_cell(law['statement'])}"
        rows.append(f"| {name} | {' | '.join(cells)} |")
    return head + text + "\n".join(rows)


def _reading_order(item):
    """From what a layer looks like (shapes, building, config) to how it is used; a plug-in's come last."""
    identity = item[0]
    return "." in identity, "SBCGNMIRXL".find(identity[0]), identity


def _result(result):
    if result is None:
        return "not run"
    text = STATUSES[result["status"]]
    if result["samples"]:
        text += f",&nbsp;{result['samples']}"
    return text + (f": {_cell(_line(result['reason']))}" if result["reason"] else "")


def _cost(card, report):
    head = "## Measured cost\n\n"
    rows = report.get("layers", {}).get(card.name)
    if not rows and not _ours(card):
        return ""  # a layer is measured beside a peer, which is a module of ours
    if not rows:
        return (
            head + "Not measured yet: `layerzoo bench --report docs/assets/cost.json` measures it."
        )
    versions = ", ".join(f"{name} {version}" for name, version in report["versions"].items())
    lines = [
        "| Work | | Parameters | Time | Instead | Parameters | Time | Ratio of times |",
        "| --- | --- | ---: | ---: | --- | ---: | ---: | ---: |",
    ]
    for row in rows:
        lines.append(
            f"| {row['work']} | `{row['layer']}` | {row['parameters']:,} | {row['ms']:.3g} ms "
            f"| {row['instead']} | {row['parameters_instead']:,} | {row['ms_instead']:.3g} ms "
            f"| {row['ratio']:.2f} |"
        )
    return (
        head
        + "\n".join(lines)
        + f"\n\nMedians of {rows[0]['pairs']} pairs of runs, taken in turns, with {versions} on the "
        f"backend {BACKENDS[report['backend']]}; {report['machine']}, {report['date']}."
    )


def _measured(path):
    """What was measured, or nothing where it was not."""
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def _family_page(family, cards):
    text = FAMILIES.get(family, f"The layers of `{family}`.")
    return f"# {family.capitalize()}\n\n{GENERATED}\n\n{text}\n\n{_grid(cards, '../../')}\n"


def _catalogue_page(cards, families):
    parts = [f"# Catalogue\n\n{GENERATED}\n\n{len(cards)} layers. [By tag](tags.md)."]
    for family, of_family in families.items():
        heading = f"## [{family.capitalize()}](layers/{family}/index.md)"
        parts.append(f"{heading}\n\n{_grid(of_family)}")
    rows = ["| Layer | Family | What it does | Paper | Year |", "| --- | --- | --- | --- | ---: |"]
    for card in sorted(cards, key=lambda card: (-(card.year or 0), card.name)):
        rows.append(
            f"| [{card.name}]({_path(card)}) | {card.family} | {_cell(card.summary)} "
            f"| {_paper(card)} | {card.year or ''} |"
        )
    parts.append("## All in one table\n\n" + "\n".join(rows))
    return "\n\n".join(parts) + "\n"


def _grid(cards, up=""):
    """Cards with picture, name, line and tags; each is a section that other pages may include."""
    return (
        '<div class="lz-cards" markdown>\n\n'
        + "\n\n".join(
            f"<!-- --8<-- [start:{card.name}] -->\n"
            f'<div class="lz-card" markdown>\n\n<figure>{_picture(plain(card))}</figure>\n\n'
            f"**[{card.name}]({up}{_path(card)})**\n\n{card.summary}\n\n"
            f"{' '.join(f'`{tag}`' for tag in card.tags)}\n\n</div>\n"
            f"<!-- --8<-- [end:{card.name}] -->"
            for card in cards
        )
        + "\n\n</div>"
    )


def _paper(card):
    if card.paper.startswith("arXiv:"):
        return f"[{card.paper}](https://arxiv.org/abs/{card.paper.removeprefix('arXiv:')})"
    return f"[paper]({card.paper})" if card.paper else ""


def _llms(cards):
    lines = [
        "# layerzoo",
        "",
        "> The layers that Keras does not ship, and a conformance kit for anybody's Keras 3 layer.",
        "",
        "Every layer takes one tensor, stands in `keras.Sequential`, and loads without `custom_objects`.",
        "",
        "## Layers",
        "",
        *(f"- [{card.name}]({_path(card)}): {card.summary}" for card in cards),
        "",
        "## Guides",
        "",
        "- [Guide](guide/index.md): saving and loading, the three ways to build a model, checking a layer",
        "- [Reference](reference/index.md)",
    ]
    return "\n".join(lines) + "\n"


def _root(card):
    return card.layer.__module__.split(".")[0]


def _ours(card):
    return _root(card) == "layerzoo"


def _source(card):
    return card.layer.__module__.replace(".", "/") + ".py"


def _path(card, suffix=".md"):
    family = f"{card.family}/" if _ours(card) else ""
    return f"layers/{family}{snake_case(card.name)}{suffix}"
