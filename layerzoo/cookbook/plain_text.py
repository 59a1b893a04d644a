"""Equations as a terminal can show them: LaTeX in a docstring, written with Unicode."""

import re

SYMBOLS = {
    **dict(
        zip(
            ("alpha", "beta", "gamma", "delta", "epsilon", "theta", "lambda"),
            "αβγδεθλ",
            strict=True,
        )
    ),
    **dict(
        zip(("mu", "pi", "rho", "sigma", "tau", "phi", "psi", "omega"), "μπρστφψω", strict=True)
    ),
    **{"sum": "Σ", "prod": "Π", "in": "∈", "cdot": "·", "odot": "⊙", "times": "×", "top": "ᵀ"},
    **{"langle": "⟨", "rangle": "⟩", "lfloor": "⌊", "rfloor": "⌋", "lceil": "⌈", "rceil": "⌉"},
    **{"le": "≤", "ge": "≥", "ne": "≠", "sim": "~", "approx": "≈", "infty": "∞", "to": "→"},
    **{"dots": "…", "ldots": "…", "partial": "∂", "Delta": "Δ", "Sigma": "Σ", "oplus": "⊕"},
    **{"big": "", "Big": "", "bigg": "", "Bigg": "", "left": "", "right": "", "limits": ""},
    **{"quad": " ", "qquad": " "},
}
"""What stands for a command without arguments. Any other, as `\\max`, is shown by its name."""

MATRIX = r"\\begin\{(\w?matrix|cases)\}(.*?)\\end\{\1\}"
GROUP = r"\{((?:[^{}])*)\}"


def readable(docstring: str) -> str:
    """A docstring with its equations in Unicode instead of LaTeX."""
    text = re.sub(r"\$\$(.*?)\$\$", lambda found: _block(found[1]), docstring, flags=re.DOTALL)
    return re.sub(r"\$([^$]+)\$", lambda found: _line(found[1]), text)


def _block(latex: str) -> str:
    """A displayed equation, one line for each of its own, indented."""
    latex = _matrices(latex)
    latex = re.sub(r"\\(begin|end)\{[^}]*\}", "", latex)
    lines = re.split(r"\\\\(?:\[[^]]*\])?|\\qquad", latex)
    return "\n".join(f"    {_line(line)}" for line in lines if line.strip())


def _matrices(latex: str) -> str:
    return re.sub(MATRIX, lambda found: _rows(found[1], found[2]), latex, flags=re.DOTALL)


def _rows(kind: str, latex: str) -> str:
    """A matrix in one line, as in `[a, b; c, d]`, and cases with an `if`."""
    between = " if " if kind == "cases" else ", "
    rows = [
        re.sub(r"\s*&\s*", between, row).strip() for row in re.split(r"\\\\(?:\[.*?\])?", latex)
    ]
    return f"[{'; '.join(row for row in rows if row)}]"


def _line(latex: str) -> str:
    text = " ".join(_matrices(latex).replace("&", " ").split())
    text = re.sub(r"\\[,;!: ]", " ", text).replace(r"\{", "⦃").replace(r"\}", "⦄")
    text = re.sub(r"\\(?:text|mathrm|mathbf|mathcal|operatorname\*?)\s*" + GROUP, r" \1", text)
    text = re.sub(r"\\([dt]?frac|sqrt|hat|bar|tilde)\b", r"\\\1", text)
    while True:  # the innermost groups first
        found = _innermost(text)
        if found == text:
            break
        text = found
    text = re.sub(r"\\([A-Za-z]+)\*?", lambda found: SYMBOLS.get(found[1], found[1]), text)
    text = re.sub(r"[{}]", " ", text)
    text = re.sub(r"([(\[⟨⌊]) +", r"\1", re.sub(r" +([,;)\]⟩⌋_^/])", r"\1", text))
    text = re.sub(r"([_^]) +", r"\1", re.sub(r",(?=\S)", ", ", text))
    return re.sub(r" {2,}", " ", text).replace("⦃", "{").replace("⦄", "}").strip()


def _innermost(text: str) -> str:
    """The text with one kind of command or group that holds no other replaced."""
    steps = (
        (r"\\sqrt\s*" + GROUP, lambda m: f"√{_held(m[1])}"),
        (r"\\sqrt\s+(\w)", lambda m: f"√{m[1]}"),
        (r"\\hat\s*(?:" + GROUP + r"|(\w)|\\(\w+))", lambda m: _accent(m, "\u0302")),
        (r"\\bar\s*(?:" + GROUP + r"|(\w)|\\(\w+))", lambda m: _accent(m, "\u0304")),
        (r"\\tilde\s*(?:" + GROUP + r"|(\w)|\\(\w+))", lambda m: _accent(m, "\u0303")),
        (r"\\[dt]?frac\s*" + GROUP + r"\s*" + GROUP, lambda m: f"{_held(m[1])}/{_held(m[2])}"),
        (r"([_^])" + GROUP, lambda m: m[1] + _held(m[2], short=True)),
        (r"(?<![_^a-z*])" + GROUP, lambda m: m[1]),
    )
    for pattern, written in steps:
        found = re.sub(pattern, written, text)
        if found != text:
            return found
    return text


def _accent(found: re.Match, mark: str) -> str:
    held = found[1] or found[2] or SYMBOLS.get(found[3] or "", found[3] or "")
    return held + mark


def _held(text: str, short: bool = False) -> str:
    """A group, in brackets where these keep it together."""
    text = text.strip()
    single = r"[\w']+" if short else r"\\?\w+"
    whole = re.fullmatch(single, text) or re.fullmatch(r"\([^()]*\)|⟨[^⟨⟩]*⟩|√\w|\\top", text)
    return text if whole else f"({text})"
