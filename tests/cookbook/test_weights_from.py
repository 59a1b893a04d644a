import dataclasses

from layerzoo import catalogue
from layerzoo.cookbook.pages.layer import layer_page

CARD = catalogue()["ConvNeXtBlock"]
HEADING = "## Weights from elsewhere"


def from_nowhere(theirs, layer):
    """Copy nothing."""


def test_a_page_shows_the_source_of_what_carries_weights(tmp_path):
    page = layer_page(CARD, tmp_path)
    shown = page.split(HEADING)[1].split("\n## ")[0]
    assert "From timm:\n\n```python\ndef from_timm(theirs, layer):\n" in shown
    assert '        layer.scale.gamma.assign(weights["gamma"])\n```' in shown
    other = dataclasses.replace(CARD, weights_from={"nowhere": from_nowhere})
    source = 'def from_nowhere(theirs, layer):\n    """Copy nothing."""'
    assert f"From nowhere:\n\n```python\n{source}\n```" in layer_page(other, tmp_path)


def test_a_page_without_such_lines_has_no_heading_for_them(tmp_path):
    assert HEADING not in layer_page(dataclasses.replace(CARD, weights_from={}), tmp_path)
