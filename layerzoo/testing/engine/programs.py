"""A few lines of Python that show a failure, using only keras, numpy and the layer."""

import ast
import contextlib
import inspect
import io
import re
import sys
import tempfile
import types
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import keras

from layerzoo.catalogue import Tensor
from layerzoo.tensors import compat
from layerzoo.testing import shown as given
from layerzoo.testing.engine.case import Case
from layerzoo.testing.engine.sources import import_line, imports, kinds_of, source

SPOILT = (NameError, ImportError, SyntaxError, AttributeError, LookupError)
"""What a program raises if it does not fit the layer: then it shows nothing about it."""


def seen(case: Case, shown: str, raised: type[Exception] | None) -> tuple[str, str]:
    """A program that fails as the check does, or an empty text and why there is none.

    The program runs in this process, in a folder that is removed afterwards.

    Args:
        case: The `Case`.
        shown: As for `snippet`.
        raised: The type of the error that the layer raised in the check; None if a comparison failed.
    """
    if not shown:
        return "", "this property has none"
    if _claims(case, _claimed(shown)) is None:
        return "", "a claim of the card is a function that no program can import"
    code = snippet(case, shown)
    if "<locals>" in code:
        return "", "the class is defined inside a function, so none can import it"
    outcome = run(code)
    alike = type(outcome) is raised if raised else not isinstance(outcome, SPOILT)
    if outcome is not None and alike:
        return code, ""
    said = f"raised {type(outcome).__name__}" if outcome else "did not fail"
    return "", f"the one for this property {said} here, unlike the check"


def run(code: str) -> Exception | None:
    """Run a program as a new process would, and return what it raises; it leaves nothing behind."""
    module = types.ModuleType("shown")
    for name in re.findall(r"^# put your (\w+) here$", code, re.MULTILINE):
        setattr(module, name, getattr(sys.modules["__main__"], name, None))
    before = sys.modules.get(module.__name__)
    quiet = io.StringIO()
    with (
        compat.kept_session(),
        compat.undisturbed(),
        tempfile.TemporaryDirectory() as folder,
        contextlib.chdir(folder),
        contextlib.redirect_stdout(quiet),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        sys.modules[module.__name__] = module
        try:
            exec(compile(code, "<shown>", "exec"), vars(module))
        except Exception as error:  # a layer can raise anything
            return error
        finally:
            compat.forget_unfinished_calls()
            sys.modules.pop(module.__name__)
            if before is not None:
                sys.modules[module.__name__] = before
    return None


def snippet(case: Case, shown: str = "") -> str:
    """Python that imports only keras, numpy and the layer, and shows a property of a case.

    Args:
        case: The `Case`.
        shown: The lines that show it. `layerzoo.testing.shown` has the names that they may use; each is
            defined before them if they use it. Without lines, and if a claim that they read is a function
            that cannot be imported, the snippet only prints the outputs.
    """
    claimed = _claims(case, _claimed(shown))
    if not shown or claimed is None:
        shown, claimed = "print(make()(**inputs))", []
    needs = _names(shown)
    if needs & {"built", "neighbour"}:
        needs |= {"inputs"}
    name, seed, other = case.card.layer.__qualname__, case.sample.seed, case.elsewhere()

    lines = {import_line(case.card.layer), *imports(case.moved)}
    lines |= imports(other.moved) if "neighbour" in needs else set()
    lines |= imports(list(case.card.errors)) if "refused" in needs else set()
    nodes = [node for node in ast.parse(shown).body if _is_import(node)]
    shown, own = _without(shown, nodes), sorted({ast.unparse(node) for node in nodes})
    parts = ["\n".join([*own, "import keras", "import numpy as np", *sorted(lines)])]
    arguments = case.written + (", " if case.moved else "")
    if needs & {"arguments", "argument_kinds"}:
        parts += [f"arguments = dict({case.written})"]
        arguments = "**{**arguments, **settings}"
    else:
        arguments += "**settings"
    body = f"    return {name}({arguments})"
    if "dtype" in needs and any(isinstance(v, keras.layers.Layer) for v in _leaves(case.config)):
        policy = 'keras.config.set_dtype_policy(settings.get("dtype", "float32"))'
        body = f"    {policy}  # for the layers inside\n{body}"
    parts += [f"def make(**settings):\n{body}"]
    if "argument_kinds" in needs:
        parts += [f"argument_kinds = {kinds_of(case.card.layer, case.config)}"]
    if "refused" in needs:
        parts += [f"refused = {source(list(case.card.errors))}"]
    if "shapes" in needs:
        parts += [f"shapes = {_shapes(case, 'compute_output_shape' in shown)}"]
    if needs & {"inputs", "unknown"}:
        parts += [f"rng = np.random.default_rng([{seed}, 0])\ninputs = {_inputs(case)}"]
    if "unknown" in needs:
        pairs = [
            f"    ({_symbols(case, sizes)},\n     {_inputs(case, sizes)}),\n"
            for sizes in case.unknowns()
        ]
        parts += [f"unknown = [\n{''.join(pairs)}]"]
    if "built" in needs:
        parts += [f"seed = {seed}", _source(given.built)]
        if case.traits.state == "always":
            parts += [_source(given.resting)]
            parts[-2] = parts[-2].replace("return layer", "return resting(layer)")
    if "neighbour" in needs:
        parts += [
            f"def neighbour():\n    rng = np.random.default_rng([{other.sample.seed}, 0])\n"
            f"    layer = {name}({other.written})\n"
            f"    layer(**{_inputs(other)}, training=True)\n    return layer"
        ]
    if "numbers" in needs:
        parts += [_source(given.numbers)]
    return "\n\n".join([*parts, *claimed, shown])


def read(file: Path) -> str:
    """The lines of a program's file, with what it imports from files beside it, and no docstring.

    What `layerzoo.testing.shown` names is not imported, because `snippet` defines it.
    """
    text = file.read_text(encoding="utf-8")
    nodes = [node for node in ast.parse(text).body if _is_docstring(node) or _is_import(node)]
    before = [part for node in nodes for part in _imported(node, file)]
    return "\n\n".join([*before, _without(text, nodes)])


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _is_import(node: ast.stmt) -> bool:
    return isinstance(node, ast.Import | ast.ImportFrom)


def _without(text: str, nodes: list[ast.stmt]) -> str:
    """A program without some of its statements."""
    lines = text.splitlines()
    for node in reversed(nodes):
        del lines[node.lineno - 1 : node.end_lineno]
    return "\n".join(lines).strip()


def _imported(node: ast.stmt, file: Path) -> list[str]:
    """What a program has in place of one of its imports."""
    if isinstance(node, ast.ImportFrom) and node.level == 1:
        return [read(file.with_name(f"{node.module}.py"))]
    if isinstance(node, ast.ImportFrom) and node.module == given.__name__:
        return []
    if isinstance(node, ast.Import) and {each.name for each in node.names} <= {"keras", "numpy"}:
        return []
    return [ast.unparse(node)] if isinstance(node, ast.Import | ast.ImportFrom) else []


def _source(function: Callable) -> str:
    """The source of a function of `layerzoo.testing.shown`, without its docstring and its annotations."""
    text = re.sub(r'\n    """.*?"""', "", inspect.getsource(function), count=1, flags=re.DOTALL)
    text = re.sub(r": Any\b| -> [^\n]*(?=:\n)", "", text, count=2)
    return text.strip()


def _names(code: str) -> set[str]:
    """The names and keywords that some Python code uses."""
    nodes = list(ast.walk(ast.parse(code)))
    names = {node.id for node in nodes if isinstance(node, ast.Name)}
    return names | {node.arg for node in nodes if isinstance(node, ast.keyword) and node.arg}


def _leaves(node) -> list:
    if isinstance(node, dict):
        node = list(node.values())
    return [x for each in node for x in _leaves(each)] if isinstance(node, list | tuple) else [node]


def _inputs(case, sizes=()) -> str:
    """Python code that draws the arguments of the call, with some sizes replaced if given."""
    shapes = case.shapes(**dict(sizes))
    return _call(
        case, {p: draw_source(case.sample.values, shapes[p], t) for p, t in case.tensors.items()}
    )


def _symbols(case, sizes) -> str:
    """Python code for symbolic arguments of the call, with some sizes unknown."""
    shapes = case.shapes(**dict.fromkeys(sizes))
    return _call(
        case, {p: f'keras.KerasTensor({shapes[p]}, "{t.dtype}")' for p, t in case.tensors.items()}
    )


def _call(case, sources: dict[str, str]) -> str:
    """Python code for the arguments of the call; the layer may give the first one any name."""
    packed = compat.packed(sources)
    cls = case.card.layer
    first = [list(inspect.signature(f).parameters.values())[1] for f in (cls.__call__, cls.call)]
    named = (each.name for each in first if each.kind is each.POSITIONAL_OR_KEYWORD)
    argument = next(named, "inputs")  # a call that takes any arguments does not name them
    return _nested_source({argument: packed.pop(next(iter(packed))), **packed})


def _shapes(case, of_output: bool) -> str:
    """Python code for the shapes, in order, that `build` or `compute_output_shape` takes."""
    cls = case.card.layer
    taken = inspect.signature(cls.compute_output_shape if of_output else cls.build).parameters
    shapes = {path: repr(shape) for path, shape in case.shapes().items()}
    return _nested_source(list(compat.packed(shapes).values())[: len(taken) - 1])


def _claimed(shown: str) -> list[str]:
    """The claims that a program reads."""
    return re.findall(r'claimed\["(\w+)"\]', shown)


def _claims(case, names: list[str]) -> list[str] | None:
    """Python code for the values of some traits, or None if a value cannot be written as code."""
    imports: list[str] = []

    def source(value):
        if isinstance(value, dict):
            return "{" + ", ".join(f"{k!r}: {source(v)}" for k, v in value.items()) + "}"
        if isinstance(value, tuple) and any(map(callable, value)):
            return f"({', '.join(map(source, value))})"
        if callable(value):
            imports.append(f"from {value.__module__} import {value.__qualname__}")
            return value.__qualname__
        return repr(value)

    values = {name: source(getattr(case.traits, name)) for name in dict.fromkeys(names)}
    if not all(line.split()[-1].isidentifier() for line in imports):
        return None  # a lambda, or a function inside another
    written = ", ".join(f'"{name}": {value}' for name, value in values.items())
    return ["\n".join([*sorted(set(imports)), f"claimed = {{{written}}}"])] if names else []


def draw_source(kind: str, shape: Sequence[int], tensor: Tensor) -> str:
    """Python code that draws the same as `draw`, from a generator `rng`."""
    if tensor.dtype == "bool":
        return f"rng.random({shape}) < 0.5"
    if not tensor.floating:
        drawn = f"rng.integers({int(tensor.low or 0)}, {int(tensor.high or 0)}, {shape})"
        drawn = f"np.full({shape}, {int(tensor.low or 0)})" if kind == "zeros" else drawn
        drawn = f"np.sort({drawn}, axis=-1)" if kind == "sorted" else drawn
    elif tensor.low is not None and tensor.high is not None:
        drawn = f"rng.uniform({tensor.low}, {tensor.high}, {shape})"
    else:
        normal = f"rng.normal(size={shape})"
        drawn = {
            "zeros": f"np.zeros({shape})",
            "ones": f"np.ones({shape})",
            "large": f"({normal} * 30)",
            "small": f"({normal} * 1e-2)",
            "ties": f"np.round({normal})",
            "sorted": f"np.sort({normal}, axis=-1)",
        }.get(kind, normal)
    return f'{drawn}.astype("{tensor.dtype}")'


def drawn_source(case: Case) -> str:
    """Python code for the arguments of the call, as one expression that needs only NumPy."""
    drawn = {
        path: draw_source(case.sample.values, case.shapes()[path], each)
        for path, each in case.tensors.items()
    }
    random = [path for path, code in drawn.items() if "rng." in code]
    for path in random[:1]:
        generator = f"np.random.default_rng([{case.sample.seed}, 0])"
        first = generator if len(random) == 1 else f"(rng := {generator})"
        drawn[path] = drawn[path].replace("rng.", f"{first}.", 1)
    return _nested_source(compat.packed(drawn))


def _nested_source(node) -> str:
    if isinstance(node, dict):
        return "{" + ", ".join(f'"{k}": {_nested_source(v)}' for k, v in node.items()) + "}"
    if isinstance(node, list):
        return f"[{', '.join(map(_nested_source, node))}]"
    return node
