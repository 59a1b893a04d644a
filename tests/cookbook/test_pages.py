"""Pages say what cards, docstrings and measurements say, and the committed ones are not stale."""

import contextlib
import dataclasses
import importlib
import inspect
import io
import re
import sys
import xml.etree.ElementTree
from pathlib import Path

import keras
import pytest

import layerzoo
from layerzoo import measured
from layerzoo.catalogue import Card, Traits
from layerzoo.cookbook import docstrings, pages
from layerzoo.cookbook.pages import layer as layer_page
from layerzoo.cookbook.pages import lists

DOCS = Path(__file__).parents[2] / "docs"
CARDS = layerzoo.catalogue()
HEADINGS = [
    "Equation",
    "When to use it",
    "Use it",
    "The recipe",
    "Configuration",
    "Shapes, masks, precision",
    "Properties verified",
    "Measured cost",
    "Where it runs",
    "Paper",
]


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    """Every page where nothing was measured."""
    return render(tmp_path_factory.mktemp("checkout") / "docs")


def render(docs, package="layerzoo"):
    """The pages by their paths below the folder, as text."""
    return {
        path.relative_to(docs).as_posix(): text
        for path, text in pages.render(docs, package).items()
    }


def page_of(rendered, name):
    return next(text for text in rendered.values() if f"\n# {name}\n" in text)


def test_the_committed_pages_are_what_the_code_says_now():
    assert pages.stale(DOCS) == [], "run `layerzoo docs`"


def test_writing_writes_what_is_stale_and_nothing_else(tmp_path, monkeypatch, rendered):
    docs = tmp_path / "docs"
    few = {docs / name: rendered[name] for name in ("catalogue.md", "llms.txt", "tags.md")}
    monkeypatch.setattr(pages, "render", lambda docs, package: few)
    assert set(pages.write(docs)) == set(few)
    assert pages.stale(docs) == []
    (docs / "catalogue.md").write_text(f"old\n{lists.GENERATED}\n")
    (docs / "llms.txt").unlink()
    due = [docs / "catalogue.md", docs / "llms.txt"]
    assert pages.stale(docs) == pages.write(docs) == due
    assert pages.write(docs) == []


def test_a_page_that_was_not_generated_is_overwritten_only_when_asked(
    tmp_path, monkeypatch, rendered
):
    docs = tmp_path / "docs"
    names = ("catalogue.md", "llms.txt", "layers/residual/drop_path.svg")
    few = {docs / name: rendered[name] for name in names}
    monkeypatch.setattr(pages, "render", lambda docs, package: few)
    for path in few:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("mine")
        with pytest.raises(ValueError, match=rf"add `--force`\. Received: {path}, not written"):
            pages.write(docs)
        assert [each for each in few if each.exists()] == [path]
        assert path.read_text() == "mine"
        path.unlink()
    path.write_text("mine")
    assert set(pages.write(docs, force=True)) == set(few)
    assert pages.stale(docs) == []


def test_a_file_of_a_checkout_without_the_block_is_left_alone(tmp_path):
    (tmp_path / "README.md").write_text("# Mine\n")
    assert lists.blocks(tmp_path, [CARDS["GatedMLP"]]) == {}


def test_a_block_among_hand_written_lines_is_replaced_and_they_stay(tmp_path):
    for name in ("README.md", "mkdocs.yml"):
        (tmp_path / name).write_text(f"first\n# {lists.BEGIN}\nold\n# {lists.END}\nlast\n")
    found = lists.blocks(tmp_path, [CARDS["GatedMLP"]])
    readme, navigation = found[tmp_path / "README.md"], found[tmp_path / "mkdocs.yml"]
    assert re.fullmatch(
        r"first\n# layers: w[^\n]+\n.*`GatedMLP`.*\n# layers: end\nlast\n", readme, re.S
    )
    assert "          - GatedMLP: layers/gated/gated_mlp.md\n" in navigation
    assert "\nold\n" not in readme + navigation


@pytest.mark.parametrize("name", CARDS)
def test_a_page_has_its_parts_in_order(name, rendered):
    page = page_of(rendered, name)
    weights = ["Weights from elsewhere"] if CARDS[name].weights_from else []
    due = [*HEADINGS[:-1], *weights, HEADINGS[-1]]
    assert re.findall(r"^## (.*?)(?: \{.*\})?$", page, re.MULTILINE) == due
    assert (
        page.index(CARDS[name].summary)
        < page.index('--8<-- "docs/layers/')
        < page.index("## Equation")
    )
    tabs = re.findall(r'^=== "(.*)"$', page, re.MULTILINE)
    assert tabs == ["Sequential", "Functional", "Subclassed", "Save and load"]
    assert f"layerzoo eject {name} " in page


@pytest.mark.parametrize("name", CARDS)
def test_a_page_says_every_name_before_the_picture(name, rendered):
    head = page_of(rendered, name).partition("<figure")[0]
    assert CARDS[name].aliases
    assert all(alias in head for alias in CARDS[name].aliases)
    assert "\nsearch:\n  boost: 4\n" in head


def test_names_that_the_search_would_split_are_there_in_small_letters(rendered):
    assert "rezero" in page_of(rendered, "ReZero").partition("<figure")[0]
    assert "alibi" in page_of(rendered, "AlibiBias").partition("<figure")[0]


def test_the_page_of_names_leads_from_each_alias_to_its_layers(rendered):
    page = rendered["names.md"]
    for card in CARDS.values():
        for alias in card.aliases:
            (row,) = re.findall(rf"^\| `?{re.escape(alias)}`? \| (.*) \|$", page, re.MULTILINE)
            assert f"[{card.name}]({layer_page.page_path(card)})" in row
    assert "## From TensorFlow Addons" in page
    named = {a.partition(".")[0] for c in CARDS.values() for a in c.aliases if "." in a}
    assert named >= set(lists.LIBRARIES), "each library is one from which a name comes"


def fields_of(entry):
    """The key and the fields of a BibTeX entry whose braces are balanced, each field on one line."""
    assert entry.count("{") == entry.count("}")
    head, *lines, end = entry.split("\n")
    fields = [re.fullmatch(r"  (\w+) = \{(.+)\},", line).groups() for line in lines]
    assert end == "}"
    assert len(dict(fields)) == len(fields), "each field once"
    return re.fullmatch(r"@misc\{([a-z]+\d{4}[a-z][a-z0-9]+),", head)[1], dict(fields)


@pytest.mark.parametrize("name", CARDS)
def test_a_page_ends_with_a_bibtex_entry_of_its_paper(name, rendered):
    page, card = page_of(rendered, name), CARDS[name]
    (entry,) = re.findall(r"^```bibtex\n(.*?)\n```\n\Z", page, re.DOTALL | re.MULTILINE)
    key, fields = fields_of(entry)
    year = f"{card.year - 2000:02}"
    assert str(card.year) in key
    assert fields["year"] == str(card.year)
    assert fields["title"] == f"{{{card.paper_title}}}"
    assert all(re.fullmatch(r"[^,{}]+", each) for each in fields["author"].split(" and "))
    assert f"arXiv:{fields['eprint']}" == card.paper
    assert fields["eprint"].startswith(year), "an arXiv id begins with the year"
    assert fields["archivePrefix"] == "arXiv"
    assert fields["url"] in page.replace(entry, ""), "the text links to the paper"


def test_different_papers_have_different_bibtex_keys():
    entries = {layer_page.bibtex(card) for card in CARDS.values()}
    assert len({fields_of(entry)[0] for entry in entries}) == len(entries)


def test_a_card_without_authors_has_no_bibtex_and_a_paper_elsewhere_has_no_arxiv_id():
    card = dataclasses.replace(CARDS["DropPath"], paper="https://example.org/a")
    _, fields = fields_of(layer_page.bibtex(card))
    assert fields["url"] == "https://example.org/a"
    assert "eprint" not in fields
    assert layer_page.bibtex(dataclasses.replace(card, paper_authors="")) == ""


def test_no_text_of_a_page_is_taken_for_a_tag():
    known = {"!--", "code", "details", "div", "figure", "li", "span", "summary", "ul"}
    for path in [*DOCS.glob("*.md"), *DOCS.glob("layers/**/*.md")]:
        text = path.read_text(encoding="utf-8")
        text = re.sub(r"(`{3,}).*?\1|`[^`]*`|\$\$.*?\$\$|\$[^$]*\$", "", text, flags=re.DOTALL)
        assert set(re.findall(r"<(!--|\w+)", text)) <= known, path


@pytest.mark.parametrize("name", CARDS)
def test_no_line_of_a_docstring_is_lost(name, rendered):
    page = " ".join(page_of(rendered, name).split())
    doc = docstrings.sections(CARDS[name].layer.__doc__)
    assert set(doc) == {"", *docstrings.SECTIONS}
    for section in (
        "",
        "Use when",
        "Avoid when",
        "Input shape",
        "Output shape",
        "Masking",
        "Raises",
    ):
        assert " ".join(doc[section].split()) in page
    for section in ("Args", "Call arguments"):
        for argument, meaning in docstrings.entries(doc[section]).items():
            assert f"`{argument}`" in page
            assert meaning in page


@pytest.mark.parametrize("name", CARDS)
def test_the_table_is_the_signature(name, rendered):
    table = page_of(rendered, name).split("## Configuration")[1].split("\n\n")[1]
    rows = [
        re.split(r" \| (?=(?:[^`]*`[^`]*`)*[^`]*$)", row.strip("| "))
        for row in table.split("\n")[2:]
    ]
    parameters = inspect.signature(CARDS[name].layer).parameters
    assert [row[0].strip("`") for row in rows] == [
        "**kwargs" if parameter == "kwargs" else parameter for parameter in parameters
    ]
    for row in rows[:-1]:
        default = parameters[row[0].strip("`")].default
        if default is inspect.Parameter.empty:
            assert row[2] == "required"
        else:
            assert eval(row[2].strip("`")) == default


def test_every_layer_is_listed_and_every_link_has_a_page(rendered):
    for listing in ("catalogue.md", "llms.txt"):
        for name in CARDS:
            assert f"[{name}]" in rendered[listing]
        for link in re.findall(r"\]\((?!https)([^)]*)\)", rendered[listing]):
            page = re.sub("/$", ".md", link)  # as the built site names it
            index = link + "index.md"
            assert page in rendered or (DOCS / page).is_file() or (DOCS / index).is_file(), link


def test_what_was_not_measured_is_said_so(rendered):
    page = page_of(rendered, "GatedMLP")
    assert page.count("Not measured yet: `layerzoo ") == 3


def test_measurements_are_written_as_they_are(tmp_path):
    statuses = {
        "passed": ("S1", 44, ""),
        "failed": ("S2", 3, "shape (2, 3)"),
        "expected_failure": ("S3", 5, "a defect of the backend"),
        "not_applicable": ("S4", 0, "no dropout"),
        "inconclusive": ("C1", 7, "kinked"),
        "unexpected_pass": ("C2", 2, ""),
    }
    verified = {
        "profile": "ci",
        "keras": "3.15.1",
        "backends": {"tensorflow": "2.21.0", "jax": "0.10.0"},
        "seconds": {"tensorflow": 1.0},
        "results": {
            identity: {"tensorflow": {"status": status, "samples": samples, "reason": reason}}
            for status, (identity, samples, reason) in statuses.items()
        },
    }
    row = dict(work="b 8, d 512", layer="GatedMLP", parameters=3151360, ms=12.345, pairs=11)
    row |= dict(instead="a Dense", parameters_instead=2099712, ms_instead=10.0, ratio=1.2345)
    row |= dict(backend="jax", peak_mb=1234.5, peak_mb_instead=None)
    about = {"date": "2026-11-20", "machine": "2 cores", "versions": {"keras": "3.15.1"}}
    cost = {"backends": {"jax": about}, "rows": [row]}
    measured.write(tmp_path / "measured", "verified", "GatedMLP", verified)
    measured.write(tmp_path / "measured", "cost", "GatedMLP", cost)
    rendered = render(tmp_path / "docs")
    page = page_of(rendered, "GatedMLP")
    assert (
        "1 of 5 checks passed, on 61 samples in all: Keras 3.15.1 with TensorFlow 2.21.0, JAX"
        in page
    )
    shapes = "| Shapes and dtypes | 1 passed, 1 **failed**, 1 expected failure | 4 not run |"
    configs = "| Configs | 1 **passed, though expected to fail**, 1 inconclusive | 2 not run |"
    assert page.index(shapes) < page.index(configs) < page.index("??? note")
    folded = page.partition('??? note "Every property')[2].partition("## ")[0]
    cells = re.findall(r"^    \| \*\*(\w+)\*\* .*? \| (.*) \| not run \|$", folded, re.MULTILINE)
    assert dict(cells) == {
        "S1": "passed,&nbsp;44",
        "S2": "**failed**,&nbsp;3: shape (2, 3)",
        "S3": "expected failure,&nbsp;5: a defect of the backend",
        "S4": "does not apply: no dropout",
        "C1": "inconclusive,&nbsp;7: kinked",
        "C2": "**passed, though expected to fail**,&nbsp;2",
    }
    numbers = "12.3 ms | 10 ms | 1.23 | 1,234 MB |  | 3,151,360 | 2,099,712"
    assert f"| JAX | b 8, d 512 | {numbers} |" in page
    assert "Measured on 2026-11-20 with JAX (2 cores; keras 3.15.1)." in page
    assert "Not measured with TensorFlow and PyTorch." in page
    assert "Not measured yet" in page_of(rendered, "DropPath")


def test_the_page_says_where_a_layer_runs_and_why_not(tmp_path):
    right = dict(status="right", exports=3, masked=0, lengths=[1, 9], difference=1.2e-7)
    bad = dict(exports=3, masked=1, lengths=[9, 150], difference=0.0, failed=2)
    known = dict(bad, status="expected_failure", reason="no `erfc`")
    exports = {
        "keras": "3.15.1",
        "versions": {"tensorflow": "2.21.0", "onnxruntime": "1.32.0"},
        "lengths": [1, 9, 150],
        "results": {
            "tf_saved_model@tensorflow": {"free": right, "fixed": right},
            "onnx@tensorflow": {"free": known, "fixed": known},
            "litert@tensorflow": {"fixed": dict(bad, status="failed", reason="units=2: Bad: no")},
            "tf_saved_model@jax": {
                "free": dict(bad, status="unexpected_pass", reason="units=2: it")
            },
            "onnx@torch": {"free": dict(status="not_tried", reason="it needs onnx")},
        },
    }
    measured.write(tmp_path / "measured", "exports", "GatedMLP", exports)
    halves = {"tensorflow": "passed", "jax": "failed", "torch": "passed"}
    verified = {
        "profile": "ci",
        "keras": "3.15.1",
        "backends": dict.fromkeys(halves, "1"),
        "results": {"N1": {name: dict(status=status) for name, status in halves.items()}},
    }
    measured.write(tmp_path / "measured", "verified", "GatedMLP", verified)
    page = page_of(render(tmp_path / "docs"), "GatedMLP")
    section = page.partition("## Where it runs\n\n")[2].partition("\n\n## ")[0]
    assert re.findall(r"^\| (?!Exp|-)(.*) \|$", section, re.MULTILINE) == [
        "SavedModel | TensorFlow | right, 1e-07 | right, 1e-07",
        "ONNX | TensorFlow | 2 of 3 configs failed | 2 of 3 configs failed",
        "LiteRT | TensorFlow |  | **2 of 3 configs failed**",
        "SavedModel | JAX | **right, though expected to fail** | ",
        "ONNX | PyTorch | not tried | ",
    ]
    assert re.findall(r"^- (.*)$", section, re.MULTILINE) == [
        "ONNX from TensorFlow: no `erfc`.",
        "LiteRT from TensorFlow: units=2: Bad: no.",
        "SavedModel from JAX: units=2: it.",
        "ONNX from PyTorch: it needs onnx.",
    ]
    assert "Lengths of `t`: 1, 9, 150. 3 configs were tried, 1 of them with masks" in section
    assert '[["(b, t, 64)", "(b, t)"]]' in section
    assert "In half precision it stays near float32 (N1): TensorFlow, PyTorch." in section
    assert section.endswith("Keras 3.15.1 with TensorFlow 2.21.0, onnxruntime 1.32.0.")


PLUGIN = '''
import keras


@keras.saving.register_keras_serializable(package="stripes")
class Cross(keras.layers.Layer):
    """Adds the mean of a context.

    $y = x + c$

    Args:
        scale: Float. Factor of the context.
        mode: Word.
        **kwargs: Keras's own.

    Call arguments:
        inputs: The sequence.
        context: Another one.
    """

    def __init__(self, scale: float, mode: str | None = "mean", **kwargs):
        super().__init__(**kwargs)
        self.scale, self.mode = scale, mode

    def call(self, inputs, context=None):
        if context is None:
            return inputs
        return inputs + self.scale * keras.ops.mean(context, axis=1, keepdims=True)

    def compute_output_shape(self, inputs_shape, context_shape=None):
        return inputs_shape

    def get_config(self):
        return {**super().get_config(), "scale": self.scale, "mode": self.mode}
'''


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    """The card of a layer with two inputs and no example, of a package that is not ours."""
    (tmp_path / "stripes.py").write_text(PLUGIN)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "stripes", raising=False)
    module = importlib.import_module("stripes")
    card = Card(
        layer=module.Cross,
        inputs={"inputs": "b t d", "context": "b s d"},
        configs=lambda pick: dict(scale=pick([2.0, 1.0]), mode=pick(["sum", "mean"])),
        dims=lambda pick, config: dict(d=pick([6])),
        traits=Traits(dynamic="b t s"),
        tags=["stripes"],
    )
    for module in (pages, layer_page):
        monkeypatch.setattr(module, "catalogue", lambda: {**CARDS, "Cross": card})
    return card


def test_a_plugin_gets_a_page_in_plain_markdown_whose_code_runs(plugin, tmp_path, monkeypatch):
    rendered = render(tmp_path / "docs", "stripes")
    assert set(rendered) == {"layers/cross.md", "layers/cross.svg", "layers/cross.trace.svg"}
    page = rendered["layers/cross.md"]
    assert "def compute_output_shape(self, inputs_shape" in page, "the source stands on the page"
    for of_our_theme in ("\n===", "???", "--8<--", "<svg", "<figure"):
        assert of_our_theme not in page
    assert re.findall(r"\]\(([^)]*)\)", page) == ["cross.svg", "cross.trace.svg"]
    assert '| `mode` | <code>str &#124; None</code> | `"mean"` | Word. |' in page
    found = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert len(found) == 4
    monkeypatch.chdir(tmp_path)
    for code in found:
        assert "from stripes import Cross" in code
        assert 'Cross(scale=2.0, mode="sum")' in code
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(code, {"__name__": "block"})
        assert printed.getvalue().split("\n")[:-1] == re.findall("^#> (.*)$", code, re.MULTILINE)


def test_a_plugins_picture_is_a_file_that_stands_alone(plugin, tmp_path):
    picture = xml.etree.ElementTree.fromstring(
        render(tmp_path / "docs", "stripes")["layers/cross.svg"]
    )
    assert picture.tag == "{http://www.w3.org/2000/svg}svg"
    assert picture[0].get("fill") == "white", "a dark page would hide black lines"
    assert picture[1].text == "What Cross computes"


def test_a_plugins_page_reads_what_was_measured_beside_it(plugin, tmp_path):
    page = render(tmp_path / "docs", "stripes")["layers/cross.md"]
    assert (
        page.count("Not measured yet: `layerzoo check Cross --profile pages --backend all --me")
        == 1
    )
    assert "Measured cost" not in page
    result = {"jax": {"status": "passed", "samples": 3}}
    report = {
        "profile": "ci",
        "keras": "3",
        "backends": {"jax": "1"},
        "results": dict.fromkeys(("acme.first", "L1", "S1"), result),
    }
    measured.write(tmp_path / "measured", "verified", "Cross", report)
    page = render(tmp_path / "docs", "stripes")["layers/cross.md"]
    assert re.findall(r"^\| \*\*([\w.]+)\*\*", page, re.MULTILINE) == ["S1", "L1", "acme.first"]
    assert page.count("<details>") == 1


def test_a_package_without_cards_is_refused(tmp_path):
    with pytest.raises(
        ValueError, match=r"whose layers `layerzoo list` prints.*Received: package='keras'"
    ):
        render(tmp_path / "docs", "keras")


def test_a_config_that_cannot_be_written_asks_for_an_example(plugin):
    layer = keras.layers.ReLU()
    card = Card(layer=plugin.layer, inputs="b d", configs=lambda pick: dict(scale=layer))
    with pytest.raises(ValueError, match=r"`Example` that calls it\. Received: scale="):
        layer_page.plain(card)


def test_a_docstring_is_read_by_its_sections():
    doc = """One line.

    Text.

    Args:
        a: First: with a colon
            and more.
        b: Second.

    Masking:
        Passed on.
    """
    found = docstrings.sections(doc)
    assert found[""] == "Text."
    assert found["Masking"] == "Passed on."
    assert docstrings.entries(found["Args"]) == {
        "a": "First: with a colon and more.",
        "b": "Second.",
    }
