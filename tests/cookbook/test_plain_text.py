"""Equations for the terminal."""

import pytest

from layerzoo.cookbook.plain_text import readable


@pytest.mark.parametrize(
    ("latex", "text"),
    [
        (r"$q, k = W_{QK}\, x$", "q, k = W_QK x"),
        (r"$p^{(n)}_{ts}$", "p^(n)_ts"),
        (r"$\frac{a + b}{\sqrt h}$", "(a + b)/√h"),
        (r"$\frac{\langle a, b \rangle}{\sqrt{c + d}}$", "(⟨a, b⟩)/(√(c + d))"),
        (r"$\operatorname*{softmax}_{s \in S} \Big( x_s \Big)$", "softmax_(s ∈ S) (x_s)"),
        (r"$\hat q \odot \hat{k}$", "q\u0302 ⊙ k\u0302"),
        (r"$\begin{pmatrix} a & b \\ c & d \end{pmatrix}$", "[a, b; c, d]"),
        (r"$\{1, \dots, n\}$", "{1, …, n}"),
        (r"$\unheardof{x}$", "unheardof x"),
        ("costs 5 $", "costs 5 $"),
    ],
)
def test_latex_becomes_unicode(latex, text):
    assert readable(latex) == text


def test_lines_of_a_display_are_lines():
    latex = r"$$\begin{aligned} y & = x \\ z &= \cos y \end{aligned}, \qquad k = 1$$"
    assert readable(latex) == "    y = x\n    z = cos y,\n    k = 1"
