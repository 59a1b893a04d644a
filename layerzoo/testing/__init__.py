"""The conformance kit: check any Keras 3 layer, property by property.

`check_layer` returns a report for a card or an instance. `parametrize_with_checks` makes one pytest test
for each property. A property is a small function that yields what it compares; `declare` registers one.
`strategies` has Hypothesis strategies for tests of your own.
"""

from importlib.util import find_spec

from layerzoo._backend import install
from layerzoo_entry.usage import NotInstalled

for _needed in ("hypothesis", "pytest"):
    if find_spec(_needed) is None:
        raise NotInstalled(
            f"layerzoo.testing needs {_needed}, which is not installed. The extra `testing` brings it: "
            f"{install('testing')}"
        )

import layerzoo.testing.properties  # noqa: F401  registers them
from layerzoo.tensors.outcomes import Finding, Inconclusive, NotApplicable, Violation
from layerzoo.testing import properties  # noqa: F401  importing it registers the properties
from layerzoo.testing.engine import strategies
from layerzoo.testing.engine.case import Case, card_of
from layerzoo.testing.engine.comparison import (
    EXACT,
    SAME,
    SUMS,
    Comparison,
    Evidence,
    Fact,
    Finite,
    Note,
    Sometimes,
    Tolerance,
    demand,
)
from layerzoo.testing.engine.register import PROPERTIES, Property, declare, load_plugins, select
from layerzoo.testing.engine.report import ConformanceError, Failure, Report, Result
from layerzoo.testing.engine.run import (
    PROFILES,
    Profile,
    check_layer,
    check_property,
    check_sample,
)
from layerzoo.testing.engine.samples import Sample
from layerzoo.testing.front.parametrize import Check, parametrize_with_checks

__all__ = [
    "EXACT",
    "PROFILES",
    "PROPERTIES",
    "SAME",
    "SUMS",
    "Case",
    "Check",
    "Comparison",
    "ConformanceError",
    "Evidence",
    "Fact",
    "Failure",
    "Finding",
    "Finite",
    "Inconclusive",
    "NotApplicable",
    "Note",
    "Profile",
    "Property",
    "Report",
    "Result",
    "Sample",
    "Sometimes",
    "Tolerance",
    "Violation",
    "card_of",
    "check_layer",
    "check_property",
    "check_sample",
    "declare",
    "demand",
    "parametrize_with_checks",
    "select",
    "strategies",
]

load_plugins()  # last, because plug-ins import from here to declare their properties
