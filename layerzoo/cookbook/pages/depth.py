"""What was found in deep stacks: the section of a layer's page, and the page about all of them."""

import math

from layerzoo.cookbook.depth import plot
from layerzoo.cookbook.depth.declared import CLAIMS
from layerzoo.cookbook.depth.running import POLICIES, WHEN, against, ratio, verdict
from layerzoo.cookbook.evidence.running import number
from layerzoo.cookbook.pages.evidence import linked
from layerzoo_entry.backends import NAMES

GENERATED = "<!-- Written by `layerzoo docs` from `measured/depth`. -->"
TITLES = {"features": "Vectors", "rows": "Sequences", "image": "Images"}
"""The parts of the page, by what the blocks read."""

EXPLODED = 1000
"""How many times as large as at the last block a gradient is that has exploded."""

LEGEND = (
    "*At the start* and *after the training*: the norm of the gradient at the output of the first block, "
    "divided by that at the output of the last. *Loss*: at the first and the last step. Where there are two "
    "values, they are for float32 and mixed_bfloat16."
)


def depth_section(found: dict, picture: str) -> str:
    """The section of a layer's page.

    Args:
        found: What `layerzoo depth` measured.
        picture: The lines that show the plot.
    """
    claims = dict.fromkeys(found["claims"].values())
    return "\n\n".join(
        [
            f"## {found['blocks']} blocks deep",
            f"**What the paper says.** {found['says']} ({linked(found['source'])})",
            f"**What was stacked.** {found['task']}",
            picture,
            " ".join(
                [LEGEND, *(f"A gradient that *{claim}*: {_bounds(claim)}." for claim in claims)]
            ),
            _table({"": found}),
            *([f"**Limits.** {found['limits']}"] if found["limits"] else []),
            f"```bash\nKERAS_BACKEND={found['backend']} {found['command']}\n```",
            _measured_on([found]),
        ]
    )


def depth_page(found: dict[str, dict], paths: dict[str, str]) -> str:
    """The page about all stacks.

    Args:
        found: What `layerzoo depth` measured, by the layers' names.
        paths: The path of each layer's page from this one.
    """
    blocks, steps = (
        " or ".join(map(str, sorted({each[size] for each in found.values()})))
        for size in ("blocks", "steps")
    )
    keeps, shrinks, stays = map(_bounds, CLAIMS)
    parts = [
        f"# {blocks} blocks deep",
        GENERATED,
        f"Every layer that people stack is stacked here: {blocks} blocks between a layer that reads "
        f"handwritten digits and one that answers. The stack is trained for {steps} steps of Adam, without a "
        "warm-up, in float32 and in mixed_bfloat16. *Finite* means that every gradient and every loss is, "
        "and every weight at the end. Before and after the training, the gradient of the loss is taken with "
        "respect to the output of each block.",
        "The plots show the norm of the gradient at each block, divided by that at the last block, in "
        "float32. The gradient comes from the left. It *keeps its size* if the value at the first block is "
        f"{keeps}, the shaded region. It *shrinks* if that is {shrinks}, and *does not vanish* if that is "
        f"{stays}. These bounds were set before the first measurement. Most papers speak of the start; "
        "the values after the training show whether that lasts.",
        _verdict(found),
    ]
    for inputs, title in TITLES.items():
        some = {name: each for name, each in found.items() if each["inputs"] == inputs}
        if some:
            parts += [f"## {title}", next(iter(some.values()))["task"]]
            if depth_picture(found, inputs):
                drawn = f'--8<-- "docs/{picture_path(inputs)}"'
                parts.append(f'<figure class="lz-picture">\n{drawn}\n</figure>')
            parts += [LEGEND, _table(some, paths)]
    parts += [
        "What a paper says, where, and how its stacks differ from these, is on the page of each layer.",
        f"```bash\nKERAS_BACKEND={next(iter(found.values()))['backend']} layerzoo depth --measured measured\n"
        "layerzoo docs\n```",
        _measured_on(found.values()),
    ]
    return "\n\n".join(parts) + "\n"


def picture_path(inputs: str) -> str:
    """Where the plot of the stacks that read these inputs is, in the folder of the pages."""
    return f"assets/depth_{inputs}.svg"


def depth_picture(found: dict[str, dict], inputs: str) -> str:
    """The plot of all stacks that read these inputs; empty if there are none."""
    some = {name: each for name, each in found.items() if each["inputs"] == inputs}
    return plot(TITLES[inputs], some) if some else ""


def _verdict(found):
    """How often the papers are right here, and what did not stay finite."""
    stacks = [(name, stack) for name, each in found.items() for stack in _stacks(each)]
    broken = [
        f"{name} ({row['stack']}, {row['policy']})"
        for name, each in found.items()
        for row in each["rows"]
        if not row["finite"]
    ]
    said = {
        f"{name} ({stack})": wrong
        for name, stack in stacks
        if (wrong := against(found[name], stack)) is not None
    }
    others = {stack: ", nor ".join(wrong) for stack, wrong in said.items() if wrong}
    text = f"{len(stacks)} stacks were trained in each precision. "
    text += f"Not finite: {'; '.join(broken)}." if broken else "All of them stayed finite."
    text += (
        f" A paper says something of the gradient in {len(said)} of them. In {len(said) - len(others)}, "
        "it is so in both precisions, at the start and after the training."
    )
    grown = [
        f"{name} ({stack})"
        for name, stack in stacks
        if any(
            (ratio(row, "start") or 0) > EXPLODED
            for row in found[name]["rows"]
            if row["stack"] == stack
        )
    ]
    if grown:
        text += (
            f" What does not vanish may explode: at the start, the gradient at the first block is more than "
            f"{EXPLODED:,} times that at the last in {', '.join(grown)}."
        )
    if others:
        listed = "\n".join(f"- {stack}: not {wrong}." for stack, wrong in others.items())
        text += f" These are not as the paper says:\n\n{listed}"
    return text


def _stacks(found):
    return list(dict.fromkeys(row["stack"] for row in found["rows"]))


def _bounds(claim):
    """From where to where the quotient is, if a claim is right."""
    least, most = CLAIMS[claim]
    if math.isinf(most):
        return f"{least:g} or more"
    return f"from {least:g} to {most:g}" if least else f"{most:g} or less"


def _table(found, paths=None):
    """A row for each stack; with the layer in front if `paths` are given."""
    heads = ["Stack", *(words.capitalize() for words in WHEN.values())]
    heads = [*(["Layer"] if paths else []), *heads, "It should, says the paper", "Loss", "Finite"]
    lines = [heads, ["---"] * len(heads)]
    for name, each in found.items():
        for stack in _stacks(each):
            rows = [row for row in each["rows"] if row["stack"] == stack]
            lines.append(
                [
                    *([f"[{name}]({paths[name]})"] if paths else []),
                    stack.replace("|", r"\|"),
                    *(", ".join(number(ratio(row, when)) for row in rows) for when in WHEN),
                    verdict(each, stack).replace(": not ", ": **not** "),
                    ", ".join(
                        f"{number(row['loss'][0])} → {number(row['loss'][-1])}" for row in rows
                    ),
                    _both([row["finite"] for row in rows]),
                ]
            )
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _both(of_policies):
    """What is true in both policies, in one of them, or in none."""
    if len(set(of_policies)) == 1:
        return "yes" if of_policies[0] else "**no**"
    return f"**in {POLICIES[of_policies.index(True)]} only**"


def _measured_on(found):
    seconds: dict[str, int] = {}
    for each in found:
        versions = ", ".join(f"{name} {version}" for name, version in each["versions"].items())
        where = f"{each['date']} with {NAMES[each['backend']]} ({each['machine']}; {versions})"
        seconds[where] = seconds.get(where, 0) + each["cpu_seconds"]
    told = [f"Measured on {where} in {each:,} s of CPU time." for where, each in seconds.items()]
    return f"{' '.join(told)} One seed. Another machine, backend or version gives somewhat other numbers."
