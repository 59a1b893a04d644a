"""Every layer of the catalogue at sizes drawn freely: shapes, gradients, independence, models and files.

JAX is left out: it compiles for each new shape, so that the buckets of the kit serve it. `conftest.py` says
how to draw more.
"""

import keras
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from layerzoo import catalogue
from layerzoo.testing.properties import free

BACKEND = keras.backend.backend()
CATALOGUE = catalogue()
TIMES = settings.default.max_examples // 100  # as the profile says

pytestmark = pytest.mark.skipif(BACKEND == "jax", reason="each new shape costs a compilation")
each_layer = pytest.mark.parametrize("name", CATALOGUE)


def checked(check, name, data):
    """Check one layer on what is drawn, unless its card says that the property does not hold."""
    card = CATALOGUE[name]
    if check is free.gradient:
        known = card.expected_failures.get(f"G1@{BACKEND}")
        if known:
            pytest.skip(known)
    check(card, data, rows=free.ROWS * TIMES)


@each_layer
@settings(max_examples=free.CHECKS[free.shapes] * TIMES)
@given(data=st.data())
def test_shapes(name, data):
    checked(free.shapes, name, data)


@each_layer
@settings(max_examples=free.CHECKS[free.edges] * TIMES)
@given(data=st.data())
def test_edges(name, data):
    checked(free.edges, name, data)


@each_layer
@settings(max_examples=free.CHECKS[free.gradient] * TIMES)
@given(data=st.data())
def test_gradient(name, data):
    checked(free.gradient, name, data)


@each_layer
@settings(max_examples=free.CHECKS[free.independence] * TIMES)
@given(data=st.data())
def test_independence(name, data):
    checked(free.independence, name, data)


@each_layer
@settings(max_examples=free.CHECKS[free.in_models] * TIMES)
@given(data=st.data())
def test_in_models(name, data):
    checked(free.in_models, name, data)


@each_layer
@settings(max_examples=free.CHECKS[free.restored] * TIMES)
@given(data=st.data())
def test_restored(name, data):
    checked(free.restored, name, data)
