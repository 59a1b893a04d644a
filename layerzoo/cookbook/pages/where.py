"""The section of a layer's page that says where it runs: what became of its exports."""

from layerzoo_entry.backends import NAMES

FORMATS = {"tf_saved_model": "SavedModel", "onnx": "ONNX", "litert": "LiteRT"}
KINDS = {"free": "Unknown sizes", "fixed": "Known sizes"}


def where_it_runs(card, found, verified):
    """The section, from what `layerzoo export-check` and `layerzoo check` measured."""
    head = "## Where it runs\n\n"
    if not found:
        return head + (
            f"Not measured yet: `layerzoo export-check {card.name} --measured measured` measures it."
        )
    results = found["results"]
    kinds = [kind for kind in KINDS if any(kind in each for each in results.values())]
    rows = [
        f"| Export | From | {' | '.join(KINDS[kind] for kind in kinds)} |",
        f"| --- | --- |{' --- |' * len(kinds)}",
    ]
    reasons = []
    for export, each in results.items():
        form, _, backend = export.partition("@")
        name = f"{FORMATS[form]} | {NAMES[backend]}"
        rows.append(f"| {name} | {' | '.join(_cell(each.get(kind)) for kind in kinds)} |")
        said = dict.fromkeys(kind["reason"] for kind in each.values() if "reason" in kind)
        reasons += [f"- {FORMATS[form]} from {NAMES[backend]}: {reason}." for reason in said]
    return "\n\n".join(
        [
            f"{head}A model of `{card.name}` was exported, and the runtime of each format ran the file. "
            "The numbers are the largest difference from the layer, as a share of the largest output. "
            f"{_sizes(card, results)}",
            "\n".join(rows),
            *(["\n".join(reasons)] if reasons else []),
            *_equal_sizes(card, results),
            *_half_precision(verified),
            f"Keras {found['keras']} with {_versions(found['versions'])}.",
        ]
    )


def _cell(result):
    if result is None:
        return ""
    of_all = f"{result.get('failed')} of {result.get('exports')} configs failed"
    return {
        "right": f"right, {result.get('difference', 0):.0e}",
        "expected_failure": of_all,
        "failed": f"**{of_all}**",
        "unexpected_pass": "**right, though expected to fail**",
        "not_tried": "not tried",
    }[result["status"]]


def _sizes(card, results):
    """What was tried, in two or three sentences."""
    tried = [kind for each in results.values() for kind in each.values() if "exports" in kind]
    if not tried:
        return ""
    axes = [letter for letter in _plain(card).dynamic.split() if letter != "b"]
    lengths = sorted({length for kind in tried for length in kind["lengths"]})
    text = "The size of the batch is unknown to the file in each case. "
    if lengths:
        text += f"Lengths of {_and(axes)}: {', '.join(map(str, lengths))}. "
    count, masked = (max(kind[name] for kind in tried) for name in ("exports", "masked"))
    text += f"{count} configs were tried" if count > 1 else "One config was tried"
    return text + (f", {masked} of them with masks as inputs." if masked else ".")


def _equal_sizes(card, results):
    """How to export from JAX if several inputs have the same axis: a line, or none."""
    dynamic = _plain(card).dynamic.split()
    inputs = list(card.axes.values())
    masked = any(kind.get("masked") for each in results.values() for kind in each.values())
    inputs += [inputs[0][:2]] if masked else []
    if len(inputs) < 2:
        return []
    named = [f"({', '.join(x if x in dynamic else '64' for x in axes)})" for axes in inputs]
    what = "With a mask as an input" if masked else "With several inputs"
    shapes = ", ".join(f'"{each}"' for each in named)
    return [
        f"{what}, an export from JAX must say which unknown sizes are equal: "
        f'`model.export(..., jax2tf_kwargs={{"polymorphic_shapes": [[{shapes}]]}})`.'
    ]


def _half_precision(verified):
    """Where the property N1 was verified: a line, or none."""
    results = verified.get("results", {}).get("N1", {})
    passed = [NAMES[name] for name, each in results.items() if each["status"] == "passed"]
    where = ", ".join(passed)
    return [f"In half precision it stays near float32 (N1): {where}."] if passed else []


def _plain(card):
    return card.traits.under(card.configs(lambda options: next(iter(options))))


def _versions(versions):
    return ", ".join(f"{NAMES.get(name, name)} {version}" for name, version in versions.items())


def _and(words):
    return " and ".join(f"`{word}`" for word in words)
