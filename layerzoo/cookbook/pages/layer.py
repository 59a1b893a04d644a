"""The page of a layer, made from its card, its docstring and its measurements."""

import ast
import inspect
import json
import re
import sys
import textwrap
from collections import Counter
from dataclasses import dataclass

import keras

from layerzoo import measured
from layerzoo.card import Card
from layerzoo.catalogue import catalogue
from layerzoo.cookbook import depth
from layerzoo.cookbook.docstrings import entries, sections
from layerzoo.cookbook.drawing import picture, snake_case, trace
from layerzoo.cookbook.evidence.plot import plot, standalone
from layerzoo.cookbook.pages.depth import depth_section
from layerzoo.cookbook.pages.evidence import evidence_section, table_of_numbers
from layerzoo.cookbook.pages.kit import GROUPS
from layerzoo.cookbook.pages.where import where_it_runs
from layerzoo.testing import PROPERTIES
from layerzoo_entry.backends import NAMES
from layerzoo_entry.usage import UsageError

GENERATED = "<!-- Written by `layerzoo docs` from the layer's card and docstring. Edit those. -->"
SIZES = {"b": 13, "t": 17, "s": 19, "y": 23, "x": 29}
"""Sizes by which a drawing tells axes apart: primes that no layer uses by chance."""

PICTURES = (".svg", ".trace.svg")
"""The endings of the files with a layer's picture, and with the trace of every operation in it."""

PLOT = ".evidence.svg"
"""The ending of the file with the plot of a layer's experiment."""

DEEP = ".depth.svg"
"""The ending of the file with the plot of a layer's deep stacks."""

SHOWN = {"b": 2, "n": 4, "t": 10, "s": 12, "v": 6, "y": 8, "x": 8, "w": 32}
WIDTH = 64
STATUSES = {
    "passed": "passed",
    "failed": "**failed**",
    "expected_failure": "expected failure",
    "unexpected_pass": "**passed, though expected to fail**",
    "not_applicable": "does not apply",
    "inconclusive": "inconclusive",
    "not_run": "not run",
    "not_asked": "**not asked**",
    "expected_inconclusive": "inconclusive, as expected",
}


ESCAPED = {"|": r"\|", "<": "&lt;"}


@dataclass(frozen=True)
class Plain:
    """The layer as the pages show it: its code, its imports and its inputs."""

    code: str
    names: list[str]
    module: str
    axes: dict[str, list[str]]
    sizes: dict[str, int]

    def shape(self, name: str, sizes: dict[str, int | None]) -> tuple[int | None, ...]:
        """The shape of one of the inputs, with some sizes replaced, possibly by None."""
        return tuple({**self.sizes, **sizes}[letter] for letter in self.axes[name])

    def layer(self) -> keras.layers.Layer:
        """A new layer."""
        listed = {card.name: card.layer for card in catalogue().values()}
        return eval(self.code, {"keras": keras, **vars(sys.modules[self.module]), **listed})


def plain(card: Card) -> Plain:
    """The layer of a card as its docstring's example writes it, otherwise as its plain config does."""
    module = root_of(card)
    if not ours(card) and card.name not in vars(sys.modules[module]):
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
    """The first call of the layer in its docstring's example, as written there."""
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
        raise UsageError(
            "If a config holds a layer, the page cannot write it as code: the layer's docstring must have an "
            f"`Example` that calls it. Received: {name}={value!r}"
        )
    return f"{name}={json.dumps(value) if isinstance(value, str) else repr(value)}"


def layer_page(card, folder):
    """The page of a layer; `folder` holds the measurements."""
    doc = sections(card.layer.__doc__ or "")
    shown = plain(card)
    if ours(card):
        figure = f"{included_picture(card, 'lz-picture')}\n\n{_included_trace(card)}"
        generated = GENERATED
    else:
        drawn, traced = (page_path(card, suffix).split("/")[-1] for suffix in PICTURES)
        figure = (
            f"![What {card.name} computes]({drawn})\n\n"
            f"[A picture of every operation of `call`]({traced})."
        )
        generated = GENERATED.replace("docs`", f"docs --package {root_of(card)}`")
    verified = measured.read(folder, "verified", card.name)
    parts = [
        _front_matter(card),
        f"# {card.name}\n\n{generated}\n\n{card.summary}",
        _names(card),
        figure,
        f"## Equation\n\n{doc['']}",
        _when(doc),
        _usage(card, shown),
        _recipe(card),
        _configuration(card, doc),
        _tensors(doc),
        _evidence(card, measured.read(folder, "evidence", card.name)),
        _depth(card, measured.read(folder, "depth", card.name)),
        _verified(card, verified),
        _cost(card, measured.read(folder, "cost", card.name)),
        where_it_runs(card, measured.read(folder, "exports", card.name), verified),
        _weights(card),
        _paper(card, doc),
    ]
    return "\n\n".join(part.strip() for part in parts if part) + "\n"


def _front_matter(card):
    tags = "".join(f"\n  - {tag}" for tag in card.tags)
    description = json.dumps(card.summary, ensure_ascii=False)
    search = "search:\n  boost: 4\n" if ours(card) else ""
    return f"---\ndescription: {description}\n{search}tags:{tags}\n---" if tags else ""


def _names(card):
    """What else a layer is called, as text, so that the search of the site finds it."""
    known = [alias for alias in card.aliases if "." not in alias]
    elsewhere = [f"`{alias}`" for alias in card.aliases if "." in alias]
    lines = [f"Also known as {', '.join(known)}."] if known else []
    lines += [f"In other libraries: {', '.join(elsewhere)}."] if elsewhere else []
    if lines and ours(card):  # the search splits words at capitals, and so would not find `rezero`
        small = sorted(
            {name.lower() for name in (card.name, *known) if re.search(r"[a-z][A-Z]", name)}
        )
        lines += [f"<span hidden>{' '.join(small)}</span>"] if small else []
    return "\n".join(lines)


def picture_file(card, suffix):
    """The picture of a layer, or its trace, as the text of a file.

    Our own pages include it, so that it takes the colour of the text around it. A plug-in's page shows it
    as an image, which needs its own background.
    """
    shown = plain(card)
    inputs = {
        name: {letter: SIZES.get(letter, shown.sizes[letter]) for letter in letters}
        for name, letters in shown.axes.items()
    }
    layer = shown.layer()
    drawn = picture(layer, inputs, card.boxes) if suffix == ".svg" else trace(layer, inputs)
    if ours(card):
        return drawn + "\n"
    paper = '<rect width="100%" height="100%" fill="white" stroke="none"/><title>'
    return drawn.replace("<title>", paper, 1) + "\n"


def included_picture(card, style=""):
    """The lines by which a page includes the picture of one of our layers."""
    kind = f' class="{style}"' if style else ""
    return f'<figure{kind}>\n--8<-- "docs/{page_path(card, ".svg")}"\n</figure>'


def _included_trace(card):
    """The folded trace of one of our layers, as HTML: Markdown misreads an SVG in an indented block."""
    return (
        '<details class="note">\n<summary>Every operation of <code>call</code></summary>\n'
        '<figure class="lz-picture">\n'
        f'--8<-- "docs/{page_path(card, ".trace.svg")}"\n</figure>\n</details>'
    )


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
        if ours(card):
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
    sizes[-1] = known[-1]  # because `Dense` must know it
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
    """The inputs as call arguments: the first by position, the others by name."""
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


def _unsearched(card):
    """The mark of a section that the search of our site leaves out, because it would drown the others."""
    return " { data-search-exclude }" if ours(card) else ""


def _recipe(card):
    path = _source(card)
    if ours(card):
        package = "my_layers"
        fence = textwrap.indent(f'````python linenums="1"\n--8<-- "{path}"\n````', "    ")
        file = f'???+ quote lz-recipe "`{path}`"\n\n{fence}'
    else:
        package = "mine"
        code = inspect.getsource(sys.modules[card.layer.__module__]).strip()
        file = f"`{path}`:\n\n````python\n{code}\n````"
    return f"""\
## The recipe{_unsearched(card)}

One file holds the layer. This command writes it, with the parts it imports, as a file that needs only Keras:

```bash
layerzoo eject {card.name} --package {package}
```

{file}"""


def _configuration(card, doc):
    meanings = entries(doc.get("Args", ""))
    rows = ["| Argument | Type | Default | Meaning |", "| --- | --- | --- | --- |"]
    for name, kind, default in _parameters(card.layer):
        meaning = cell(meanings.get(name, ""))
        kind, default = _code(kind, ours(card)), _code(default, ours(card))
        rows.append(f"| `{name}` | {kind} | {default or 'required'} | {meaning} |")
    if "**kwargs" in meanings:
        rows.append(f"| `**kwargs` | | | {cell(meanings['**kwargs'])} |")
    return (
        "## Configuration\n\n"
        + "\n".join(rows)
        + "\n\n`get_config` returns all of these as they were passed, and `from_config` makes the same layer "
        "from them."
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


def cell(text):
    """Text for a table cell: outside code, a bar would end the cell, and `<` would begin an HTML tag."""
    return re.sub(r"`[^`]*`|[|<]", lambda found: ESCAPED.get(found[0], found[0]), text)


def _code(text, ours):
    if "|" in text and not ours:  # except on our site, a bar ends the cell even in code
        return f"<code>{text.replace('|', '&#124;')}</code>"
    return f"`{text}`" if text else ""


def _tensors(doc):
    calls = entries(doc.get("Call arguments", ""))
    rows = "\n".join(f"| `{name}` | {cell(meaning)} |" for name, meaning in calls.items())
    return f"""\
## Shapes, masks, precision

| Call argument | Meaning |
| --- | --- |
{rows}

- **Input shape.** {_line(doc.get("Input shape"))}
- **Output shape.** {_line(doc.get("Output shape"))}
- **Mask.** {_line(doc.get("Masking"))}
- **Precision.** Outputs have the compute dtype of the dtype policy, and weights have its variable dtype.
- **Errors.** {_line(doc.get("Raises"))}"""


def _line(text):
    return " ".join((text or "").split())


def evidence_plot(card, folder):
    """The plot of a layer's experiment, as the text of a file; empty if there is none."""
    found = measured.read(folder, "evidence", card.name)
    drawn = plot(card.name, found) if found else ""
    return drawn if ours(card) else standalone(drawn)


def depth_plot(card, folder):
    """The plot of a layer's deep stacks, as the text of a file; empty if there is none."""
    found = measured.read(folder, "depth", card.name)
    drawn = depth.plot(card.name, {card.name: found}) if found else ""
    return drawn if ours(card) else standalone(drawn)


def _evidence(card, found):
    if not found:
        return ""
    shown = _shown(card, PLOT, "What the experiment found")
    return evidence_section(
        found, shown, folded(card, "The numbers of each seed", table_of_numbers(found))
    )


def _depth(card, found):
    return depth_section(found, _shown(card, DEEP, "The gradient at each block")) if found else ""


def _shown(card, suffix, words):
    """The lines that show a plot: ours in the page's own colours, a plug-in's as an image."""
    path = page_path(card, suffix)
    if ours(card):
        return f'<figure class="lz-picture">\n--8<-- "docs/{path}"\n</figure>'
    return f"![{words}]({path.split('/')[-1]})"


def _verified(card, found):
    head = f"## Properties verified{_unsearched(card)}\n\n"
    if not found:
        return head + (
            f"Not measured yet: `layerzoo check {card.name} --profile pages --backend all "
            "--measured measured` measures it."
        )
    results, backends = found["results"], list(found["backends"])
    versions = ", ".join(f"{NAMES[name]} {found['backends'][name]}" for name in backends)
    checks = [result for by_backend in results.values() for result in by_backend.values()]
    due = [each for each in checks if each["status"] not in ("not_applicable", "not_run")]
    passed = sum(each["status"] == "passed" for each in due)
    samples = sum(each.get("samples", 0) for each in due)
    text = (
        f"{passed} of {len(due)} checks passed, on {samples:,} samples in all: Keras {found['keras']} with "
        f"{versions}, profile `{found['profile']}`.\n\n"
    )
    heads = [NAMES[name] for name in backends]
    rule = f"| --- |{' --- |' * len(backends)}"
    groups = [f"| Properties | {' | '.join(heads)} |", rule]
    rows = [f"| Property | {' | '.join(heads)} |", rule]
    for group, ids in _by_group(results).items():
        cells = [_counts([results[id].get(name) for id in ids]) for name in backends]
        groups.append(f"| {group} | {' | '.join(cells)} |")
        for id in ids:
            cells = [_result(results[id].get(name)) for name in backends]
            rows.append(f"| **{id}** {cell(_statement(id))} | {' | '.join(cells)} |")
    title = "Every property, and at how many samples it was checked"
    return head + text + "\n".join(groups) + "\n\n" + folded(card, title, "\n".join(rows))


def folded(card, title, text):
    """Text that is folded until a reader opens it."""
    if ours(card):
        return f'??? note "{title}"\n\n{textwrap.indent(text, "    ")}'
    return f"<details>\n<summary>{title}</summary>\n\n{text}\n\n</details>"


def _by_group(results):
    """The ids of results by the name of their group, in the order of the page of properties."""
    ids = sorted(results, key=lambda id: (list(GROUPS).index(_group(id)), id))
    return {
        GROUPS[group]: [id for id in ids if _group(id) == group]
        for group in dict.fromkeys(map(_group, ids))
    }


def _group(id):
    return PROPERTIES[id].group if id in PROPERTIES and "." not in id else "others"


def _statement(id):
    return PROPERTIES[id].statement if id in PROPERTIES else ""


def _counts(results):
    """How many results of a group have each status, without those that do not apply."""
    statuses = Counter(result["status"] if result else "not_run" for result in results)
    statuses.pop("not_applicable", None)
    counts = [f"{statuses[s]} {text}" for s, text in STATUSES.items() if s in statuses]
    return ", ".join(counts) or "none applies"


def _result(result):
    if result is None:
        return STATUSES["not_run"]
    text = STATUSES[result["status"]]
    if result.get("samples"):
        text += f",&nbsp;{result['samples']}"
    return text + (f": {cell(_line(result['reason']))}" if result.get("reason") else "")


def _cost(card, found):
    if card.peer is None:
        return ""
    head = "## Measured cost\n\n"
    if not found:
        return head + (
            f"Not measured yet: `layerzoo bench {card.name} --measured measured` measures it."
        )
    rows = found["rows"]
    about = (
        f"A training step of `{card.name}`. A ratio below 1 means that `{card.name}` is faster. *Peak* is "
        "the most memory that the step takes beyond what the process had before."
    )
    if any(row.get("share") for row in rows):
        about += (
            " *Share* is the rate of a step's multiplications and additions, as a share of the "
            "rate at which the machine multiplied two large matrices in the same run."
        )
    parts = [about + "\n"]
    for instead in dict.fromkeys(row["instead"] for row in rows):
        own = [row for row in rows if row["instead"] == instead]
        parts.append(f"Compared with {instead}:\n\n{_compared(own)}\n")
    pairs = sorted({row["pairs"] for row in rows})
    counted = " to ".join(dict.fromkeys([f"{pairs[0]}", f"{pairs[-1]}"]))
    return (
        head
        + "\n".join(parts)
        + f"\nMedians of {counted} alternating pairs of runs. {measured_on(found)}"
    )


def _compared(rows):
    """The rows of one peer, as a table."""
    shares = any(row.get("share") for row in rows)
    heads = [
        "Backend",
        "Work",
        "Time",
        "Instead",
        "Ratio",
        "Peak",
        "Instead",
        "Parameters",
        "Instead",
    ]
    lines = [[*heads, *["Share"] * shares], ["---"] * 2 + ["---:"] * (7 + shares)]
    for row in rows:
        times = [f"{row[key]:.3g} ms" for key in ("ms", "ms_instead")]
        peaks = [_megabytes(row[key]) for key in ("peak_mb", "peak_mb_instead")]
        parameters = [f"{row[key]:,}" for key in ("parameters", "parameters_instead")]
        measured = [*times, f"{row['ratio']:.2f}", *peaks, *parameters]
        share = [f"{row['share']:.0%}" if row.get("share") else ""] * shares
        lines.append([NAMES[row["backend"]], in_words(row["work"]), *measured, *share])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def in_words(work):
    """A workload as the pages write it."""
    return work.replace(", jit True", ", compiled").replace(", alone True", "")


def _megabytes(size):
    return "" if size is None else f"{size:,.0f} MB"


def measured_on(found):
    """Where and when a cost was measured on each backend, and where it was not."""
    told = []
    for backend, about in found["backends"].items():
        versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
        where = f"{about['machine']}; {versions}"
        told.append(f"Measured on {about['date']} with {NAMES[backend]} ({where}).")
    absent = [name for backend, name in NAMES.items() if backend not in found["backends"]]
    if absent:
        told.append(f"Not measured with {' and '.join(absent)}.")
    return " ".join(told)


def _weights(card):
    """The functions that carry weights from other packages, as the card has them and the tests run them."""
    if not card.weights_from:
        return ""
    text = (
        "## Weights from elsewhere\n\n"
        f"`theirs` is the other package's module. `layer` is a built `{card.name}` with the same sizes. A "
        "test copies weights by these lines, and finds the same outputs."
    )
    for package, copy in card.weights_from.items():
        text += f"\n\nFrom {package}:\n\n```python\n{inspect.getsource(copy).strip()}\n```"
    return text


def _paper(card, doc):
    text = f"## Paper\n\n{doc.get('Reference', '')}"
    entry = bibtex(card)
    return f"{text}\n\n```bibtex\n{entry}\n```" if entry else text


def bibtex(card):
    """The BibTeX entry of a card's paper; empty if the card lacks its title, authors or year."""
    if not (card.paper and card.paper_title and card.paper_authors and card.year):
        return ""
    author = card.paper_authors.split(" and ")[0].split()[-1]
    word = next(iter(re.findall(r"\w{4,}", card.paper_title)), "")
    key = re.sub("[^a-z0-9]", "", f"{author}{card.year}{word}".lower())
    fields = {
        "title": f"{{{card.paper_title}}}",  # the inner braces keep the capitals
        "author": card.paper_authors,
        "year": card.year,
        "url": card.paper,
    }
    if card.paper.startswith("arXiv:"):
        number = card.paper.removeprefix("arXiv:")
        fields |= {"eprint": number, "archivePrefix": "arXiv"}
        fields["url"] = f"https://arxiv.org/abs/{number}"
    lines = "".join(f"  {name} = {{{value}}},\n" for name, value in fields.items())
    return f"@misc{{{key},\n{lines}}}"


def root_of(card):
    """The top-level package of a layer."""
    return card.layer.__module__.split(".")[0]


def ours(card):
    """Whether a layer belongs to layerzoo itself."""
    return root_of(card) == "layerzoo"


def _source(card):
    return card.layer.__module__.replace(".", "/") + ".py"


def page_path(card, suffix=".md"):
    """The path of a layer's page, relative to the folder of the pages."""
    family = f"{card.family}/" if ours(card) else ""
    return f"layers/{family}{snake_case(card.name)}{suffix}"
