"""The rules for the shape of the code that a program can hold.

A rule takes the syntax tree and the text of a file, and gives a line for each breach. Each is applied
to every file that it is for, and to a small layer that is fine until one of its lines is spoilt: a
rule that cannot fail proves nothing.
"""

import ast
import inspect
import re
from pathlib import Path

import keras
import pytest

import layerzoo
from layerzoo import catalogue
from layerzoo.catalogue import families
from layerzoo.cookbook import docstrings

HOUSE = Path(layerzoo.__file__).parent
FAMILIES = tuple(families())
LAYERS = {
    card.name: Path(inspect.getsourcefile(card.layer))
    for card in catalogue().values()
    if card.layer.__module__.startswith("layerzoo.")
}

ORDER = [
    "__init__",
    "build",
    "call",
    "get_initial_state",
    "state_tensors",
    "bias",
    "compute_mask",
    "compute_output_shape",
    "compute_output_spec",
    "get_config",
    "from_config",
]
OPTIONAL = {
    "get_initial_state",
    "state_tensors",
    "bias",
    "compute_mask",
    "compute_output_spec",
    "from_config",
}
SECTIONS = [f"{name}:" for name in docstrings.SECTIONS]
CUSTOMARY = re.compile(
    r"dropout|use_bias|\w+_(initializer|regularizer|constraint)|activation|epsilon|seed|data_format"
)
"""Keras's own parameters, which count in no budget."""


def class_of(tree):
    return next(node for node in tree.body if isinstance(node, ast.ClassDef))


def methods_of(tree):
    return {node.name: node for node in class_of(tree).body if isinstance(node, ast.FunctionDef)}


def parameters_of(method):
    return [argument.arg for argument in method.args.args[1:] + method.args.kwonlyargs]


def docstring_of(tree):
    return ast.get_docstring(class_of(tree)) or ""


def section(tree, name):
    """The lines under a heading of the docstring, up to the next heading."""
    lines = docstring_of(tree).split(f"\n{name}\n", 1)[-1].split("\n")
    return [*lines[: next((i for i, x in enumerate(lines) if x and x[0] != " "), len(lines))]]


def documented(tree, name):
    """The entries of a section: what stands before the colon of its least indented lines."""
    return re.findall(r"^    ([*\w]+): \S", "\n".join(section(tree, name)), re.MULTILINE)


def imports_of(tree):
    """`(module, name)` of everything imported anywhere in a file; the name is empty for a module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (("." * node.level + (node.module or ""), x.name) for x in node.names)


# The rules for a layer file.


def one_public_class_and_its_imports(tree, source):
    classes = [node.name for node in tree.body if isinstance(node, ast.ClassDef)]
    allowed = ast.Import | ast.ImportFrom | ast.ClassDef
    others = [
        f"line {x.lineno}: no import and no class" for x in tree.body if not isinstance(x, allowed)
    ]
    if len(classes) != 1 or classes[0].startswith("_"):
        others.append(f"the classes are {classes}, not one public one")
    return others


def registered_with_keras(tree, source):
    decorators = [ast.unparse(decorator) for decorator in class_of(tree).decorator_list]
    expected = "keras.saving.register_keras_serializable(package='layerzoo')"
    good = decorators in ([expected], [expected, "recipe"])
    return [] if good else [f"the decorators are {decorators}"]


def a_recipe_if_it_holds_layers(tree, source):
    """What makes or takes layers; the decorator freezes them with their owner and keeps them in files."""
    made = [ast.unparse(x.func) for x in ast.walk(class_of(tree)) if isinstance(x, ast.Call)]
    helpers = {name for module, name in imports_of(tree) if module == "layerzoo.building.sublayers"}
    holds = [x for x in made if re.fullmatch(r"(keras\.)?layers\.(?!InputSpec)[A-Z]\w+", x)]
    holds += [x for x in made if x in helpers]
    decorated = any(ast.unparse(x) == "recipe" for x in class_of(tree).decorator_list)
    return [f"it holds {holds} and is no recipe"] if holds and not decorated else []


def composed_and_not_inherited(tree, source):
    bases = [ast.unparse(base) for base in class_of(tree).bases]
    return [] if bases in (["layers.Layer"], ["keras.layers.Layer"]) else [f"the bases are {bases}"]


def methods_in_order(tree, source):
    names = list(methods_of(tree))
    public = [name for name in names if name in ORDER]
    problems = [
        f"{name} is missing" for name in ORDER if name not in names and name not in OPTIONAL
    ]
    if public != [name for name in ORDER if name in names]:
        problems.append(f"the order is {public}")
    problems += [
        f"{x} is neither Keras's nor private" for x in names if x not in ORDER and x[0] != "_"
    ]
    if names[: len(public)] != public:
        problems.append("a private helper stands before the end")
    return problems


def at_most_eight_parameters(tree, source):
    own = [x for x in parameters_of(methods_of(tree)["__init__"]) if not CUSTOMARY.fullmatch(x)]
    return [f"{len(own)} parameters of its own: {own}"] if len(own) > 8 else []


def at_most_120_lines(tree, source):
    """Docstrings and blank lines are not counted: a well documented layer is no long one.

    A layer that continues from a state may have 40 more: its state, and three arguments in two signatures.
    """
    most = 160 if "get_initial_state" in methods_of(tree) else 120
    lines = source.split("\n")
    for node in (class_of(tree), *methods_of(tree).values()):
        if ast.get_docstring(node):
            first = node.body[0]
            lines[first.lineno - 1 : first.end_lineno] = [""] * (
                first.end_lineno - first.lineno + 1
            )
    count = sum(bool(line.strip()) for line in lines)
    return [f"{count} lines"] if count > most else []


def no_assert(tree, source):
    return [f"line {x.lineno}" for x in ast.walk(tree) if isinstance(x, ast.Assert)]


def imports_keras_and_layerzoo_alone(tree, source):
    names = {f"{module}.{name}" for module, name in imports_of(tree)}
    return [
        name
        for name in names
        if name.split(".")[0] not in ("keras", "layerzoo") or name.startswith("keras.src")
    ]


def raw_docstring(tree, source):
    first = class_of(tree).body[0]
    text = ast.get_source_segment(source, first) if ast.get_docstring(class_of(tree)) else ""
    if not text:
        return ["no docstring"]
    return ["a backslash in a docstring that is not raw"] if "\\" in text and text[0] != "r" else []


def sections_in_order(tree, source):
    found = re.findall(r"^([A-Z][a-z ]+:)$", docstring_of(tree), re.MULTILINE)
    problems = [] if found == SECTIONS else [f"the sections are {found}"]
    return problems + [f"{name} is empty" for name in SECTIONS if not "".join(section(tree, name))]


def an_equation(tree, source):
    return (
        [] if re.search(r"^\$\$\n.+?^\$\$$", docstring_of(tree), re.M | re.S) else ["no equation"]
    )


def every_argument_documented(tree, source):
    problems = []
    for method, name in (("__init__", "Args:"), ("call", "Call arguments:")):
        expected = parameters_of(methods_of(tree)[method])
        expected += ["**kwargs"] if method == "__init__" else []
        if documented(tree, name) != expected:
            problems.append(f"{name} has {documented(tree, name)}, the signature {expected}")
    return problems


def errors_say_what_was_received(tree, source):
    return [
        f"line {x.lineno}"
        for x in ast.walk(tree)
        if isinstance(x, ast.Raise) and "Received: " not in ast.unparse(x)
    ]


def keras_s_own_kinds_of_error(tree, source):
    raised = (ast.unparse(x.exc) for x in ast.walk(tree) if isinstance(x, ast.Raise) and x.exc)
    return [x for x in raised if not x.startswith(("ValueError(", "TypeError("))]


def sublayers_have_name_and_policy(tree, source):
    recipes = {
        name
        for module, name in imports_of(tree)
        if module.split(".")[:2] in [["layerzoo", family] for family in FAMILIES]
    }
    problems = []
    for call in ast.walk(class_of(tree)):
        if not isinstance(call, ast.Call):
            continue
        made = ast.unparse(call.func)
        of_keras = re.fullmatch(r"(keras\.)?layers\.[A-Z]\w+", made) and not made.endswith(
            "InputSpec"
        )
        given = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
        policy = given.get("dtype") == "self.dtype_policy"
        if (of_keras or made in recipes) and not ("name" in given and policy):
            problems.append(f"line {call.lineno}: {made} without name=, dtype=self.dtype_policy")
    return problems


def config_keys_in_order(tree, source):
    updates = [
        call
        for call in ast.walk(methods_of(tree)["get_config"])
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "config.update"
    ]
    keys = [keyword.arg for call in updates for keyword in call.keywords]
    expected = parameters_of(methods_of(tree)["__init__"])
    return [] if keys == expected else [f"get_config has {keys}, __init__ {expected}"]


def nothing_remembered_in_call(tree, source):
    return [
        f"line {x.lineno}: {ast.unparse(x)}"
        for x in ast.walk(methods_of(tree)["call"])
        if isinstance(x, ast.Attribute | ast.Subscript)
        and isinstance(x.ctx, ast.Store | ast.Del)
        and ast.unparse(x.value).split(".")[0] == "self"
    ]


def no_loop_operations(tree, source):
    loops = ("scan", "while_loop", "fori_loop", "associative_scan")
    named = {x.attr: x.lineno for x in ast.walk(tree) if isinstance(x, ast.Attribute)}
    named |= dict.fromkeys((name for _, name in imports_of(tree)), 1)
    return [f"line {named[loop]}: {loop}" for loop in loops if loop in named]


def branches_on_a_size(node):
    """The branches whose condition reads a size of a tensor; exporters trace unknown sizes at 1.

    A local name of a size counts as the size, unless it is only asked whether it is an `int`.
    """
    functions = [x for x in ast.walk(node) if isinstance(x, ast.FunctionDef)]
    found = {}
    for function in functions:
        named = names_of_sizes(function)
        for x in ast.walk(function):
            if isinstance(x, ast.If | ast.IfExp | ast.While):
                text = ast.unparse(x.test)
                read = re.search(r"\.shape\[-?\d+\]|ops\.shape\(", text)
                if read or named.intersection(names_of_values(x.test)):
                    found[f"line {x.lineno}: {text}"] = None
    return list(found)


def names_of_sizes(function):
    """The local names that hold sizes of tensors. What `int` makes of a size is known, so no size."""
    found = set()
    for assigned in ast.walk(function):
        if not isinstance(assigned, ast.Assign):
            continue
        (target, value) = assigned.targets[0], assigned.value
        each = isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple)
        for left, right in zip(target.elts, value.elts, strict=True) if each else [(target, value)]:
            if is_size(right, found):
                found |= {x.id for x in ast.walk(left) if isinstance(x, ast.Name)}
    return found


def is_size(value, names):
    """Whether an expression is a shape, one of its sizes, or computed from these without a call."""
    if isinstance(value, ast.Call):
        return ast.unparse(value.func) == "ops.shape"
    if isinstance(value, ast.Name):
        return value.id in names
    if isinstance(value, ast.Attribute):
        return value.attr == "shape"
    return any(is_size(inner, names) for inner in ast.iter_child_nodes(value))


def names_of_values(test):
    """The names in a condition, except for those that `isinstance` asks for their type."""
    if isinstance(test, ast.Call) and ast.unparse(test.func) == "isinstance":
        return []
    if isinstance(test, ast.Name):
        return [test.id]
    return [name for inner in ast.iter_child_nodes(test) for name in names_of_values(inner)]


def no_branch_on_a_traced_size(tree, source):
    traced = [
        x for name, x in methods_of(tree).items() if name in ("call", "bias") or name[0] == "_"
    ]
    return [line for method in traced for line in branches_on_a_size(method)]


LAYER_RULES = [
    one_public_class_and_its_imports,
    registered_with_keras,
    a_recipe_if_it_holds_layers,
    composed_and_not_inherited,
    methods_in_order,
    at_most_eight_parameters,
    at_most_120_lines,
    no_assert,
    imports_keras_and_layerzoo_alone,
    raw_docstring,
    sections_in_order,
    an_equation,
    every_argument_documented,
    errors_say_what_was_received,
    keras_s_own_kinds_of_error,
    sublayers_have_name_and_policy,
    config_keys_in_order,
    nothing_remembered_in_call,
    no_loop_operations,
    no_branch_on_a_traced_size,
]


# The rules for the house.

PARTS = ("ops", "building")
MAY_IMPORT = {
    "ops": ("ops",),
    "building": PARTS,
    **{family: (*PARTS, family) for family in FAMILIES},
    "gated": (*PARTS, "gated", "attention"),
    "residual": (*PARTS, *FAMILIES),
    "blocks": (*PARTS, *FAMILIES),
}


def arrows_point_one_way(tree, source, folder):
    allowed = tuple(f"layerzoo.{name}" for name in MAY_IMPORT[folder])
    return [
        f"imports {module}"
        for module, _ in imports_of(tree)
        if module.startswith(("layerzoo", ".")) and not module.startswith(allowed)
    ]


def nothing_private_imported(tree, source):
    return [
        f"imports {name} of {module}"
        for module, name in imports_of(tree)
        if module.startswith(("layerzoo", "."))
        and any(part.startswith("_") for part in [*module.split("."), name])
    ]


def nothing_of_keras_src(tree, source):
    return [
        f"imports {module}.{name}"
        for module, name in imports_of(tree)
        if f"{module}.{name}".startswith("keras.src")
    ] + [
        f"line {x.lineno}: keras.src"
        for x in ast.walk(tree)
        if isinstance(x, ast.Attribute) and ast.unparse(x) == "keras.src"
    ]


def snake_case(name):
    return re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def read(path):
    source = path.read_text(encoding="utf-8")
    return ast.parse(source), source


# The rules hold.


@pytest.mark.parametrize("rule", LAYER_RULES, ids=lambda rule: rule.__name__)
@pytest.mark.parametrize("name", LAYERS)
def test_every_layer_keeps_every_rule(name, rule):
    assert rule(*read(LAYERS[name])) == []


@pytest.mark.parametrize("rule", LAYER_RULES, ids=lambda rule: rule.__name__)
def test_the_layer_of_a_new_plug_in_keeps_every_rule(rule):
    _, source = read(HOUSE.parent / "layerzoo_entry" / "plugin" / "my_layers" / "affine.py")
    source = source.replace('package="my_layers"', 'package="layerzoo"')
    assert rule(ast.parse(source), source) == []


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_file_is_named_after_its_class(name):
    assert LAYERS[name].stem == snake_case(name)
    assert LAYERS[name].parent.name in FAMILIES


@pytest.mark.parametrize(
    ("name", "file"),
    [("GatedMLP", "gated_mlp"), ("GRUGate", "gru_gate"), ("DropPath", "drop_path"), ("GLU", "glu")],
)
def test_snake_case(name, file):
    assert snake_case(name) == file


@pytest.mark.parametrize("family", FAMILIES)
def test_every_file_of_a_family_holds_a_layer_with_a_card(family):
    files = set((HOUSE / family).glob("*.py")) - {HOUSE / family / "__init__.py"}
    assert files == {path for path in LAYERS.values() if path.parent.name == family}
    cards = {path.name for path in (HOUSE / family / "cards").glob("[!_]*.py")}
    assert cards == {path.name for path in files}


@pytest.mark.parametrize("folder", MAY_IMPORT)
def test_arrows_point_one_way(folder):
    for path in (HOUSE / folder).glob("*.py"):
        assert arrows_point_one_way(*read(path), folder) == [], path.name


@pytest.mark.parametrize("family", FAMILIES)
def test_cards_import_layers_and_what_a_card_is_made_of(family):
    for path in (HOUSE / family / "cards").glob("*.py"):
        allowed = tuple(f"layerzoo.{name}" for name in ("card", "claims", *FAMILIES))
        modules = {module for module, _ in imports_of(read(path)[0])}
        ours = {module for module in modules if module.startswith(("layerzoo", "."))}
        assert {module for module in ours if not module.startswith(allowed)} == set(), path.name


@pytest.mark.parametrize("folder", MAY_IMPORT)
def test_layers_and_operations_import_nothing_private(folder):
    for path in (HOUSE / folder).glob("*.py"):
        assert nothing_private_imported(*read(path)) == [], path.name


PROGRAMS = set((HOUSE / "testing" / "properties" / "shown").glob("*.py"))
"""What a failure prints. It asserts, and may need a part of Keras that has no public name."""


def test_only_one_module_knows_the_inside_of_keras():
    files = set(HOUSE.rglob("*.py")) - {HOUSE / "tensors" / "compat.py", *PROGRAMS}
    assert {
        str(path): found for path in files if (found := nothing_of_keras_src(*read(path)))
    } == {}


def test_no_module_of_the_package_asserts():
    files = set(HOUSE.rglob("*.py")) - PROGRAMS
    assert {path.name for path in files if no_assert(*read(path))} == set()


def test_errors_of_operations_say_what_was_received():
    for path in [*(HOUSE / "ops").rglob("*.py"), *(HOUSE / "building").rglob("*.py")]:
        assert errors_say_what_was_received(*read(path)) == [], path.name


def test_operations_do_not_branch_on_a_traced_size():
    for path in (HOUSE / "ops").glob("*.py"):
        assert branches_on_a_size(read(path)[0]) == [], path.name


def test_no_layer_pads_by_what_keras_numbers():
    """PyTorch compiles a step again for each number. The gradients here are of the other backends."""
    others = ("attention_tensorflow.py", "attention_gradient.py")
    for path in [*HOUSE.glob("*/*.py"), *(HOUSE / "ops").glob("*.py")]:
        assert "ops.pad(" not in read(path)[1] or path.name in others, path.name


# The rules can fail.

GOOD = r'''
import keras
from keras import layers, ops

from layerzoo.building.recipe import recipe
from layerzoo.gated.gated_mlp import GatedMLP


@keras.saving.register_keras_serializable(package="layerzoo")
@recipe
class Good(layers.Layer):
    r"""Is fine.

    $$
    y = \alpha x
    $$

    Use when:
        - a rule must be tried.

    Avoid when:
        - none must.

    Args:
        units: Positive integer. Width.
        dropout: Float.
        **kwargs: Keras's own.

    Call arguments:
        inputs: Features.
        mask: Boolean.

    Input shape:
        `(batch, width)`.

    Output shape:
        `(batch, units)`.

    Masking:
        Passed on.

    Raises:
        ValueError: `units` is wrong.

    Example:
        ```python
        Good(4)
        ```

    Reference:
        None.
    """

    def __init__(self, units, dropout=0.0, **kwargs):
        super().__init__(**kwargs)
        if units < 1:
            raise ValueError(f"`units` must be positive. Received: units={units}")
        self.units = units
        self.dropout = dropout

    def build(self, input_shape):
        self.scale = layers.Dense(self.units, dtype=self.dtype_policy, name="scale")
        self.gate = GatedMLP(self.units, dtype=self.dtype_policy, name="gate")
        self.input_spec = layers.InputSpec(ndim=2)

    def call(self, inputs, mask=None):
        return ops.tanh(self.scale(inputs))

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        config = super().get_config()
        config.update(units=self.units, dropout=self.dropout)
        return config

    def _helper(self):
        pass
'''.lstrip()

SPOILT = [
    (one_public_class_and_its_imports, "class Good", "class _Good"),
    (one_public_class_and_its_imports, "\n\n@keras", "\n\nclass Other:\n    pass\n\n\n@keras"),
    (one_public_class_and_its_imports, "\n\n@keras", "\n\nEPSILON = 1e-6\n\n\n@keras"),
    (registered_with_keras, 'package="layerzoo"', 'package="zoo"'),
    (registered_with_keras, '@keras.saving.register_keras_serializable(package="layerzoo")\n', ""),
    (registered_with_keras, "@recipe", "@final"),
    (a_recipe_if_it_holds_layers, "@recipe\n", ""),
    (composed_and_not_inherited, "Good(layers.Layer)", "Good(layers.Dense)"),
    (composed_and_not_inherited, "Good(layers.Layer)", "Good(Mixin, layers.Layer)"),
    (methods_in_order, "def build", "def _build"),
    (methods_in_order, "def build", "def from_config"),
    (methods_in_order, "_helper", "helper"),
    (methods_in_order, "    def call", "    def _early(self):\n        pass\n\n    def call"),
    (at_most_eight_parameters, "units, dropout=0.0", "units, a, b, c, d, e, f, g, h"),
    (at_most_120_lines, "        pass\n", "        pass\n" * 120),
    (no_assert, "        pass\n", "        assert self.units\n"),
    (imports_keras_and_layerzoo_alone, "import keras\n", "import numpy as np\n"),
    (imports_keras_and_layerzoo_alone, "from keras import", "from keras.src import"),
    (imports_keras_and_layerzoo_alone, "from keras import layers", "from keras import src, layers"),
    (raw_docstring, 'r"""', '"""'),
    (raw_docstring, 'r"""Is fine.', 'x = r"""Is fine.'),
    (sections_in_order, "    Avoid when:\n        - none must.\n\n", ""),
    (sections_in_order, "Masking:", "Masks:"),
    (sections_in_order, "        Passed on.\n", ""),
    (an_equation, "$$", "$"),
    (every_argument_documented, "        dropout: Float.\n", ""),
    (every_argument_documented, "units, dropout=0.0, **", "dropout, units=4, **"),
    (every_argument_documented, "        mask: Boolean.\n", ""),
    (every_argument_documented, "        **kwargs: Keras's own.\n", ""),
    (errors_say_what_was_received, "Received: units={units}", "It is {units}"),
    (errors_say_what_was_received, "        pass\n", "        raise\n"),
    (keras_s_own_kinds_of_error, "raise ValueError", "raise KeyError"),
    (sublayers_have_name_and_policy, ', name="scale"', ""),
    (
        sublayers_have_name_and_policy,
        'self.units, dtype=self.dtype_policy, name="g',
        'self, name="g',
    ),
    (sublayers_have_name_and_policy, "dtype=self.dtype_policy", 'dtype="float32"'),
    (config_keys_in_order, ", dropout=self.dropout)", ")"),
    (config_keys_in_order, "units=self.units, dropout=self.dropout", "dropout=0, units=1"),
    (
        nothing_remembered_in_call,
        "        return ops",
        "        self.last = inputs\n        return ops",
    ),
    (
        nothing_remembered_in_call,
        "        return ops",
        "        self.gate.n += 1\n        return ops",
    ),
    (
        nothing_remembered_in_call,
        "        return ops",
        "        self.seen[0] = 1\n        return ops",
    ),
    (
        no_branch_on_a_traced_size,
        "        return ops",
        "        if inputs.shape[-1] == 1:\n            return inputs\n        return ops",
    ),
    (
        no_branch_on_a_traced_size,
        "        return ops",
        "        _, t = ops.shape(inputs)\n        short = t // 2\n        return 0 if short else ops",
    ),
    (no_loop_operations, "ops.tanh", "ops.scan"),
    (no_loop_operations, "layers, ops", "layers, ops\nfrom keras.ops import while_loop as loop"),
]


@pytest.mark.parametrize("rule", LAYER_RULES, ids=lambda rule: rule.__name__)
def test_a_good_layer_breaks_no_rule(rule):
    assert rule(ast.parse(GOOD), GOOD) == []
    assert rule in {spoilt for spoilt, _, _ in SPOILT}


@pytest.mark.parametrize(
    ("rule", "line", "spoilt"), SPOILT, ids=lambda x: getattr(x, "__name__", "")
)
def test_a_spoilt_layer_breaks_the_rule(rule, line, spoilt):
    source = GOOD.replace(line, spoilt)
    assert source != GOOD
    assert rule(ast.parse(source), source) != []


@pytest.mark.parametrize(
    ("before", "test", "is_branch"),
    [
        ("t = x.shape[1]", "t == 1", True),
        ("b, t = ops.shape(x)", "t", True),
        ("n, t = 2, ops.shape(x)[1]", "t > n", True),
        ("n, t = 2, ops.shape(x)[1]", "n > 1", False),
        ("t = ops.shape(x)[1]", "isinstance(t, int)", False),
        ("t = int(x.shape[1])", "t == 1", False),
        ("mask = fitting_mask(mask, x.shape[:2])", "mask is None", False),
    ],
)
def test_a_size_counts_by_its_name_too(before, test, is_branch):
    source = f"def call(x, mask):\n    {before}\n    return 0 if {test} else 1\n"
    other = "def other(t):\n    return 0 if t else 1\n"  # where the name is another
    assert len(branches_on_a_size(ast.parse(source + other))) == is_branch


def test_the_budgets_are_exact():
    def lines(count):
        source = GOOD.replace("        pass\n", "        pass\n" * count)
        return at_most_120_lines(ast.parse(source), source)

    (line,) = lines(200)
    within = 200 - (int(line.split()[0]) - 120)
    assert (lines(within), lines(within + 1)) == ([], ["121 lines"])
    eight = GOOD.replace("units, dropout=0.0", "units, a, b, c, d, e, f, g, seed, gate_initializer")
    assert at_most_eight_parameters(ast.parse(eight), eight) == []


@pytest.mark.parametrize(
    ("rule", "source", "more"),
    [
        (arrows_point_one_way, "from layerzoo.residual.drop_path import DropPath", ["attention"]),
        (arrows_point_one_way, "from layerzoo.attention import SelfAttention", ["channels"]),
        (arrows_point_one_way, "from layerzoo.catalogue import find", ["residual"]),
        (arrows_point_one_way, "import layerzoo.gated.gated_mlp", ["ops"]),
        (arrows_point_one_way, "from layerzoo.building.heads import head_width", ["ops"]),
        (arrows_point_one_way, "from ..residual import DropPath", ["attention"]),
        (nothing_private_imported, "from layerzoo.ops.masks import _seen", []),
        (nothing_private_imported, "from layerzoo._backend import import_keras", []),
        (nothing_of_keras_src, "import keras.src.layers", []),
        (nothing_of_keras_src, "from keras import src", []),
        (nothing_of_keras_src, "import keras\nkeras.src.backend.get_keras_mask(1)", []),
    ],
)
def test_a_house_rule_can_be_broken(rule, source, more):
    assert len(rule(ast.parse(source), source, *more)) == 1


def test_the_rules_for_a_layer_are_about_keras_layers():
    assert all(issubclass(catalogue()[name].layer, keras.layers.Layer) for name in LAYERS)
    assert len(LAYERS) >= 5


BELOW = {
    "layerzoo/tensors": ["layerzoo.tensors"],
    "layerzoo/testing/engine": ["layerzoo.testing.shown"],
    "layerzoo/testing/properties": ["layerzoo.testing.shown"],
    "layerzoo/testing/proof": [],
    "layerzoo/testing/front": [],
}
"""The rooms of the kit, lowest first, and what each may import of it beside itself and the rooms below."""


def test_the_arrows_between_the_rooms_of_the_kit_point_down():
    allowed: list[str] = []
    for room, more in BELOW.items():
        allowed += [room.replace("/", "."), *more]
        for path in (HOUSE.parent / room).rglob("*.py"):
            modules = {
                module
                for node in ast.walk(read(path)[0])
                for module in imported_modules(node)
                if re.match(r"layerzoo\.(testing|tensors)\b", module)
            }
            above = {m for m in modules if not m.startswith(tuple(allowed))}
            assert above == set(), path


def imported_modules(node):
    """The modules that a statement imports, as far as its text tells."""
    if isinstance(node, ast.Import):
        return [each.name for each in node.names]
    if isinstance(node, ast.ImportFrom) and not node.level:
        return [f"{node.module}.{each.name}" for each in node.names]
    return []


KERAS_S_OWN = {"build", "call", "compute_mask", "compute_output_spec"}


@pytest.mark.parametrize("room", BELOW)
def test_public_signatures_of_the_kit_are_typed(room):
    for path in (HOUSE.parent / room).rglob("*.py"):
        if {"broken", "shown"} & set(path.parts):
            continue  # layers with a defect, and programs to read
        for function in public_functions(read(path)[0]):
            assert untyped(function) == [], f"{path}: {function.name}"


def public_functions(tree):
    """The functions and methods that others may call."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name[0] != "_":
            if isinstance(node, ast.ClassDef):
                yield from (f for f in public_functions(node) if f.name not in KERAS_S_OWN)
            else:
                yield node


def untyped(function):
    """The parameters without a type, and `return` if what it returns has none."""
    parameters = function.args
    named = [*parameters.posonlyargs, *parameters.args, *parameters.kwonlyargs]
    missing = [x.arg for x in named if x.annotation is None and x.arg not in ("self", "cls")]
    return missing + ["return"] * (function.returns is None)
